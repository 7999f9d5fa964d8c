// Coded lists by key: in a fieldset with data-reason-keys the digits 1-9 pick what they stand beside.

document.addEventListener("keydown", (event) => {
  const list = event.target.closest?.("[data-reason-keys]");
  if (!list || event.ctrlKey || event.metaKey || event.altKey || !/^[1-9]$/.test(event.key)) return;
  const choice = list.querySelector(`[data-reason-key="${event.key}"]`);
  if (!choice) return;
  event.preventDefault();
  choice.checked = true;
  choice.focus();
  choice.dispatchEvent(new Event("change", { bubbles: true }));
});
