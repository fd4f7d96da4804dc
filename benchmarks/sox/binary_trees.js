const size = 16 // small: 6
class Tree {
  constructor(depth) {
    if (depth > 0) {
      this.left = new Tree(depth - 1);
      this.right = new Tree(depth - 1);
    } else {
      this.left = null;
      this.right = null;
    }
  }
  check() {
    if (this.left === null) return 1;
    return 1 + this.left.check() + this.right.check();
  }
}
const long = new Tree(size);
for (let depth = 4; depth <= size; depth += 3) {
  const rounds = 2 ** (size - depth + 2);
  let sum = 0;
  for (let i = 0; i < rounds; i++) sum += new Tree(depth).check();
  show(`${general(rounds)} trees of depth ${general(depth)}, check ${general(sum)}`);
}
show(`long lived, check ${general(long.check())}`);
