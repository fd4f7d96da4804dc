const size = 900000 // small: 2000
let seed = 42;
function random(n) {
  seed = (seed * 3877 + 29573) % 139968;
  return Math.floor(seed * n / 139968);
}
const parts = ["ka", "lo", "mi", "ne", "su", "ta", "ri", "po", "ve", "du"];
const counts = new Map();
let words = 0;
for (let i = 0; i < size; i++) {
  const word = parts[random(10)] + parts[random(10)] + parts[random(6)];
  if (counts.get(word) === undefined) {
    counts.set(word, 0);
    words = words + 1;
  }
  counts.set(word, counts.get(word) + 1);
}
show(words);
show(counts.get("kalomi") ?? "nil");
let most = 0;
let sum = 0;
for (const count of counts.values()) {
  sum = sum + count;
  if (count > most) most = count;
}
show(sum);
show(most);
