// A digit gives the selected row that grade: the page with the reason opens, with the grade chosen.
// On that page a digit chooses among the grades. Without scripts both are links and buttons.

const typing = (target) =>
  target instanceof HTMLElement &&
  target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])");
const lettersOff = () => /(?:^|; )cordline-letters=off/.test(document.cookie);

const form = document.getElementById("another");
if (form) (form.querySelector("[name=reason]") ?? form).focus();

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!/^[0-5]$/.test(event.key) || typing(event.target) || lettersOff()) return;
  if (document.querySelector("dialog[open]")) return;
  const choice = form?.querySelector(`[data-grade-choice="${event.key}"]`);
  if (choice) {
    event.preventDefault();
    choice.checked = true;
    form.querySelector("[name=reason]").focus();
    return;
  }
  const row = event.target.closest?.("[data-grade-row]") ?? document.querySelector("[data-grade-row].is-selected");
  if (!row?.dataset.gradeUrl) return;
  event.preventDefault();
  location.href = `${row.dataset.gradeUrl}?grade=${event.key}`;
});
