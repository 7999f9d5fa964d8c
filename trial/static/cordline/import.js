// Import: conflicts decided by key (h keeps what is here, f takes the file, 1-6 say why), all at once, and counted;
// parts of the page shown alone; a file dropped where it is chosen.

const form = document.getElementById("commit-form");
const rows = [...(form?.querySelectorAll("tr:has([data-choice])") ?? [])];

const typing = (target) => target instanceof Element && target.matches("textarea, input:not([type=radio], [type=checkbox])");
const chosen = (row) => row.querySelector("input[data-choice]:checked")?.dataset.choice;

const count = () => {
  const button = form?.querySelector("[data-commit]");
  if (!button) return;
  const undecided = rows.filter((row) => !chosen(row)).length;
  const taken = rows.filter((row) => chosen(row) === "f").length;
  const rest = form.querySelector("[name=rest]")?.value ? undecided : 0;
  const values = Number(button.dataset.commit) + taken + rest;
  button.querySelector("[data-commit-count]").textContent = values;
  for (const word of button.querySelectorAll("[data-commit-word]")) word.hidden = (word.dataset.commitWord === "one") !== (values === 1);
  for (const row of rows) row.classList.toggle("is-kept", chosen(row) === "h");
  const note = form.querySelector("[data-undecided-note]");
  if (note) note.hidden = !undecided || Boolean(rest);
  for (const place of form.querySelectorAll("[data-undecided-count], [data-undecided]")) place.textContent = undecided ? `${undecided} / ${rows.length}` : "";
};

form?.addEventListener("change", (event) => {
  // a reason is only given for what the file replaces
  if (event.target.matches("[data-why]") && event.target.value) {
    const take = event.target.closest("tr").querySelector("input[data-choice=f]");
    if (take) take.checked = true;
  }
  count();
});

const choose = (row, key) => {
  const choice = row.querySelector(`input[data-choice=${key}]`);
  if (!choice) return;
  choice.checked = true;
  choice.focus({ preventScroll: true });
  count();
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (/(?:^|; )cordline-letters=off/.test(document.cookie)) return;
  const row = form?.querySelector("[data-row].is-selected");
  if (!row || (event.target.matches?.("select") && !row.contains(event.target))) return;
  if (event.key === "h" || event.key === "f") {
    event.preventDefault();
    choose(row, event.key);
  } else if (/^[1-9]$/.test(event.key)) {
    const why = row.querySelector("[data-why]");
    const option = why?.options[Number(event.key)];
    if (!option) return;
    event.preventDefault();
    why.value = option.value;
    why.dispatchEvent(new Event("change", { bubbles: true }));
  }
});

// --- all at once ----------------------------------------------------------------------------

const bulk = form?.querySelector(".import-bulk");
if (bulk) bulk.hidden = false;
bulk?.addEventListener("click", (event) => {
  const side = event.target.closest("[data-bulk]")?.dataset.bulk;
  if (!side) return;
  const why = bulk.querySelector("[data-bulk-why]");
  if (side === "file" && !why.value) {
    why.focus();
    return;
  }
  for (const row of rows) {
    if (chosen(row)) continue;
    row.querySelector(`input[data-choice=${side === "file" ? "f" : "h"}]`).checked = true;
    if (side === "file") row.querySelector("[data-why]").value = why.value;
  }
  count();
});

// --- one part alone -------------------------------------------------------------------------

const needs = document.querySelector("[data-needs]");
needs?.addEventListener("click", (event) => {
  const link = event.target.closest("[data-show]");
  if (!link) return;
  event.preventDefault();
  for (const other of needs.querySelectorAll("[data-show]")) other.toggleAttribute("aria-current", false);
  link.setAttribute("aria-current", "true");
  for (const part of needs.querySelectorAll("[data-part]")) part.hidden = Boolean(link.dataset.show) && part.dataset.part !== link.dataset.show;
});

// --- a file dropped -------------------------------------------------------------------------

for (const place of document.querySelectorAll("[data-drop]")) {
  const input = place.querySelector("input[type=file]");
  for (const name of ["dragover", "dragleave", "drop"]) {
    place.addEventListener(name, (event) => {
      event.preventDefault();
      place.classList.toggle("is-over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) input.files = event.dataTransfer.files;
    });
  }
}

count();
