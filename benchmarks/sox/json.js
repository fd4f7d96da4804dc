const size = 60 // small: 1
class Parser {
  constructor(text) {
    this.at = 0;
    const characters = [];
    for (const c of text) characters.push(c);
    characters.push("");
    this.text = characters;
  }
  skip() { while (this.text[this.at] === " ") this.at = this.at + 1; }
  take(c) {
    this.skip();
    if (this.text[this.at] !== c) return false;
    this.at = this.at + 1;
    return true;
  }
  expect(c) { if (!this.take(c)) throw new Error(`'${c}' expected`); }
  value() {
    this.skip();
    switch (this.text[this.at]) {
      case "{": return this.object();
      case "[": return this.list();
      case "'": return this.string();
      case "t": this.at = this.at + 4; return true;
      case "f": this.at = this.at + 5; return false;
      case "n": this.at = this.at + 4; return null;
      default: return this.number();
    }
  }
  object() {
    const result = {};
    this.take("{");
    if (this.take("}")) return result;
    while (true) {
      this.skip();
      const key = this.string();
      this.expect(":");
      result[key] = this.value();
      if (!this.take(",")) break;
    }
    this.expect("}");
    return result;
  }
  list() {
    const result = [];
    this.take("[");
    if (this.take("]")) return result;
    result.push(this.value());
    while (this.take(",")) result.push(this.value());
    this.expect("]");
    return result;
  }
  string() {
    let s = "";
    this.at = this.at + 1;
    while (this.text[this.at] !== "'") {
      s = s + this.text[this.at];
      this.at = this.at + 1;
    }
    this.at = this.at + 1;
    return s;
  }
  digit() {
    switch (this.text[this.at]) {
      case "0": return 0; case "1": return 1; case "2": return 2; case "3": return 3;
      case "4": return 4; case "5": return 5; case "6": return 6; case "7": return 7;
      case "8": return 8; case "9": return 9;
      default: return null;
    }
  }
  number() {
    let sign = 1;
    if (this.take("-")) sign = -1;
    let n = 0;
    while (true) {
      const d = this.digit();
      if (d === null) break;
      n = n * 10 + d;
      this.at = this.at + 1;
    }
    return sign * n;
  }
}
function record(i) {
  return "{'id': " + i + ", 'name': 'item " + i + "', 'tags': ['red', 'green', 'blue'], "
    + "'on': true, 'off': false, 'none': null, 'position': {'x': -" + i + ", 'y': [1, [2, [3]]]}}";
}
function document(n) {
  let s = "[";
  for (let i = 0; i < n; i++) {
    if (i > 0) s = s + ", ";
    s = s + record(i);
  }
  return s + "]";
}
const text = document(100);
let sum = 0;
for (let i = 0; i < size; i++) {
  const parsed = new Parser(text).value();
  for (const item of parsed) {
    sum = sum + item.id + item.name.length + item.tags.length + item.position.x;
    if (item.on && !item.off && item.none === null) sum = sum + item.position.y[1][1][0];
  }
}
show(text.length);
show(sum);
