const size = 1500000 // small: 300
class Empty {}
class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
  plus(other) { return new Point(this.x + other.x, this.y + other.y); }
}
let last = null;
let sum = new Point(0, 0);
for (let i = 0; i < size; i++) {
  last = new Empty();
  sum = sum.plus(new Point(i % 7, 1));
}
show(last === null);
show((sum.x + sum.y) % 99991);
