"use strict";
// Shows the findings that fit the form; a function without any is hidden with its code.
const form = document.getElementById("filter");
const boxes = [...form.querySelectorAll("input[name=rule]")];

function apply() {
  const rules = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const part = form.elements["function"].value.trim().toLowerCase();
  const severity = form.elements["severity"].value;
  let shown = 0;
  for (const section of document.querySelectorAll("section.function")) {
    let some = false;
    for (const finding of section.querySelectorAll(".finding")) {
      const names = finding.dataset.function + "\n" + section.dataset.function;
      const fits = rules.has(finding.dataset.rule)
        && (!severity || finding.dataset.severity === severity)
        && names.toLowerCase().includes(part);
      finding.hidden = !fits;
      some = some || fits;
      shown += fits ? 1 : 0;
    }
    section.hidden = !some;
  }
  document.getElementById("shown").textContent = `${shown} shown`;
  document.getElementById("nothing").hidden = shown > 0 || boxes.length === 0;
}

function fromAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (wanted.has("rule")) {
    const rules = new Set(wanted.get("rule").split(","));
    for (const box of boxes) box.checked = rules.has(box.value);
  }
  form.elements["function"].value = wanted.get("function") || "";
  form.elements["severity"].value = wanted.get("severity") || "";
  apply();
}

function toAddress() {
  const wanted = new URLSearchParams();
  const rules = boxes.filter((box) => box.checked).map((box) => box.value);
  if (rules.length < boxes.length) wanted.set("rule", rules.join(","));
  for (const name of ["function", "severity"]) {
    if (form.elements[name].value) wanted.set(name, form.elements[name].value);
  }
  history.replaceState(null, "", "#" + wanted.toString());
  apply();
}

form.addEventListener("input", toAddress);
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", fromAddress);
fromAddress();
