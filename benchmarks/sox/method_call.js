const size = 1000000 // small: 100
class Toggle {
  constructor(state) { this.state = state; }
  value() { return this.state; }
  activate() {
    this.state = !this.state;
    return this;
  }
}
class NthToggle extends Toggle {
  constructor(state, max) {
    super(state);
    this.max = max;
    this.count = 0;
  }
  activate() {
    this.count = this.count + 1;
    if (this.count >= this.max) {
      super.activate();
      this.count = 0;
    }
    return this;
  }
}
let on = 0;
const toggle = new Toggle(true);
for (let i = 0; i < size; i++) {
  if (toggle.activate().value()) on = on + 1;
  if (toggle.activate().value()) on = on + 1;
}
show(on % 99991);
show(toggle.value());
const third = new NthToggle(true, 3);
for (let i = 0; i < size; i++) {
  if (third.activate().value()) on = on + 1;
  if (third.activate().value()) on = on + 1;
}
show(on);
show(third.value());
