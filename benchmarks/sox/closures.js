const size = 800000 // small: 100
function counter(start) {
  let n = start;
  return (step) => {
    n = n + step;
    return n;
  };
}
const compose = (f, g) => (x) => f(g(x));
let total = 0;
const shared = counter(0);
for (let i = 0; i < size; i++) {
  const own = counter(i);
  total = total + own(1) - own(2) + 3;
  shared(1);
  const k = i % 5;
  const add = (x) => x + k;
  total = total + compose(add, add)(1) % 3;
}
show(total % 99991);
show(shared(0));
