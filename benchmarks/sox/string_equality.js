const size = 2000000 // small: 200
const a = "a string of some length";
let b = "a string of some ";
b = b + "length";
const c = "a string of some lengtH";
const d = "short";
let count = 0;
for (let i = 0; i < size; i++) {
  if (a === a) count = count + 1;
  if (a === b) count = count + 1;
  if (a === c) count = count + 1000;
  if (a !== d) count = count + 1;
  if (b === c) count = count + 1000;
  if (d === i) count = count + 1000;
  if (b !== a) count = count + 1000;
  if (d === "short") count = count + 1;
}
show(count % 99991);
