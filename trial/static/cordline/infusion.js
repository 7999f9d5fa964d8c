// The infusion form: cells follow the weight until somebody types them, and the
// parts that only matter sometimes appear when the check of the server asks for them.

const form = document.querySelector("[data-infusion]");
const weight = form?.elements.weight_kg;
const cells = form?.elements.cells;

// --- the target -----------------------------------------------------------------------------------

const digits = (text) => text.trim().replace(/[０-９．]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0));
let followed = cells && !cells.value;

const target = () => {
  const typed = digits(weight.value);
  if (!/^[0-9]{2,3}(\.[0-9])?$/.test(typed)) return null;
  // tenths of a kilogram, so that no fraction is ever rounded
  const tenths = Math.round(Number(typed) * 10) * Number(form.dataset.cellsPerKg);
  return String(tenths / 10);
};

weight?.addEventListener("input", () => {
  const meant = target();
  if (followed && meant !== null) cells.value = meant;
});
cells?.addEventListener("input", () => {
  followed = cells.value.trim() === "";
});

// --- parts that appear ----------------------------------------------------------------------------

const check = document.getElementById("infusion-check");

const show = () => {
  for (const part of form.querySelectorAll("[data-when]")) {
    const asked = check.querySelector(`[data-shows="${part.dataset.when}"]`);
    part.hidden = !asked && !("keep" in part.dataset);
  }
};

if (form && check) {
  show();
  check.addEventListener("htmx:afterSwap", () => {
    // what the refused form said of the deviation stands beside now, as of what is typed
    if (check.querySelector('[data-shows="deviation"]')) form.elements.deviation?.parentElement.querySelector(".invalid-feedback")?.remove();
    show();
  });
}

// --- the grid of vital signs ----------------------------------------------------------------------
// Arrows walk it up and down; left and right do where the cursor is at the end of the text.

const grid = document.querySelector("[data-vitals]");

const neighbour = (cell, down, across) => {
  const row = cell.closest("tr");
  const column = [...row.querySelectorAll("input")].indexOf(cell);
  const rows = [...grid.querySelectorAll("tbody tr")];
  return rows[rows.indexOf(row) + down]?.querySelectorAll("input")[column + across];
};

grid?.addEventListener("keydown", (event) => {
  const cell = event.target;
  if (!(cell instanceof HTMLInputElement) || event.altKey || event.ctrlKey || event.metaKey) return;
  const atStart = cell.selectionStart === 0 && cell.selectionEnd === 0;
  const atEnd = cell.selectionStart === cell.value.length;
  const step = {
    ArrowDown: [1, 0],
    Enter: [1, 0],
    ArrowUp: [-1, 0],
    ArrowLeft: atStart ? [0, -1] : null,
    ArrowRight: atEnd ? [0, 1] : null,
  }[event.key];
  if (event.key === "Enter") event.preventDefault();
  const next = step && neighbour(cell, ...step);
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.select();
});
