// Prints numbers as C's %g does; the rest as Sox does.  Loaded before each program (node -r).
function general(value) {
  const [digits, exponent] = value.toExponential(5).split("e").map(Number);
  if (value === 0) return "0";
  if (exponent >= -4 && exponent < 6) return String(Number(value.toPrecision(6)));
  return digits + "e" + (exponent < 0 ? "-" : "+") + String(Math.abs(exponent)).padStart(2, "0");
}
globalThis.general = general;
globalThis.show = (value) => console.log(typeof value === "number" ? general(value) : String(value));
