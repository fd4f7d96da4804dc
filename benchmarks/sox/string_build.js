const size = 8000 // small: 10
function split(s, d) {
  const out = s.split(d);
  if (out[out.length - 1] === "") out.pop(); // what stands behind the last separator
  return out;
}
function line(n) {
  let s = "";
  for (let i = 0; i < 200; i++) s = s + "item" + (n + i) % 100 + ";";
  return s;
}
let total = 0;
let pieces = 0;
for (let i = 0; i < size; i++) {
  const s = line(i);
  total = total + s.length;
  if (i % 8 === 0) {
    for (const piece of split(s, ";")) {
      if (piece.startsWith("item1")) pieces = pieces + 1;
      if (piece.indexOf("7") >= 0) pieces = pieces + piece.toUpperCase().length;
    }
  }
}
show(total % 99991);
show(pieces);
