const size = 8 // small: 1
const limit = 400000 // small: 1000
function sieve(limit) {
  const composite = [];
  for (let i = 0; i <= limit; i++) composite.push(false);
  let count = 0;
  for (let i = 2; i <= limit; i++) {
    if (!composite[i]) {
      count = count + 1;
      for (let j = i + i; j <= limit; j += i) composite[j] = true;
    }
  }
  return count;
}
let total = 0;
for (let i = 0; i < size; i++) total = total + sieve(limit);
show(total);
