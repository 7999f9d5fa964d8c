// Coded lists by key: standing on one of them, the digits 1-9 pick what they stand beside.
//   fieldset data-reason-keys, input data-reason-key    a list of a page's own
//   input data-change-reason                            why a stored value changes, on every form that asks it

const LISTS = [
  ["[data-reason-keys]", "reasonKey"],
  [".change-reason", "changeReason"],
];

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !/^[1-9]$/.test(event.key)) return;
  // a note beside the list is typed as it is
  if (!event.target.matches?.("input[type=radio]")) return;
  for (const [name, key] of LISTS) {
    const radios = [...(event.target.closest(name)?.querySelectorAll("input[type=radio]") ?? [])];
    const choice = radios.find((radio) => radio.dataset[key] === event.key);
    if (!choice) continue;
    event.preventDefault();
    choice.checked = true;
    choice.focus();
    choice.dispatchEvent(new Event("change", { bubbles: true }));
    return;
  }
});
