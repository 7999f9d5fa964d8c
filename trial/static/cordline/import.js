// Deciding conflicts: h keeps what is here, f takes the file, and the button counts what it will write.

const form = document.getElementById("commit-form");

const typing = (target) => target instanceof Element && target.matches("textarea, select, input:not([type=radio], [type=checkbox])");

const count = () => {
  const button = form?.querySelector("[data-commit]");
  if (!button) return;
  const all = form.querySelector("input[name=overwrite]:checked");
  const taken = form.querySelectorAll(all ? "input[data-choice=f]" : "input[data-choice=f]:checked").length;
  button.querySelector("[data-commit-count]").textContent = Number(button.dataset.commit) + taken;
};

form?.addEventListener("change", count);
count();

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key !== "h" && event.key !== "f") return;
  if (/(?:^|; )cordline-letters=off/.test(document.cookie)) return;
  const choice = form?.querySelector(`[data-row].is-selected input[data-choice=${event.key}]`);
  if (!choice) return;
  event.preventDefault();
  choice.checked = true;
  count();
});
