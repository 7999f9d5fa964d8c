// Steps through draws (left, right) and analytes (up, down) of a trend, and prints.
// Without this file Tab walks the draws, and hover shows the same.

let place = null; // [draw, analyte], kept when the figure is read again

const draws = () => [...document.querySelectorAll("[data-trend] .trend-draw")];
const cells = (draw) => [...draw.querySelectorAll(".trend-cell")];

const prepare = () => {
  for (const button of document.querySelectorAll("[data-print]")) button.hidden = false;
  const all = draws();
  all.forEach((draw, number) => {
    // one stop of the Tab key; the arrows do the rest
    draw.setAttribute("tabindex", number === all.length - 1 ? "0" : "-1");
    for (const cell of cells(draw)) cell.setAttribute("tabindex", "-1");
  });
};

const go = (draw, analyte) => {
  const all = draws();
  if (!all.length) return;
  const column = all[Math.min(all.length - 1, Math.max(0, draw))];
  const names = [...document.querySelectorAll("[data-trend] .trend-strip .t-name")].map((name) => name.textContent);
  const wanted = names[analyte];
  const cell = cells(column).find((one) => one.dataset.code === wanted);
  (cell ?? column).focus({ preventScroll: true });
  (cell ?? column).scrollIntoView({ block: "nearest", inline: "nearest" });
  place = [all.indexOf(column), analyte];
};

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!(event.target instanceof Element)) return;
  if (event.target.closest("input, select, textarea, [contenteditable], .table-scroll, dialog, [role=menu]")) return;
  const inside = event.target.closest(".trend-draw");
  const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
  const down = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
  if (event.key === "Escape" && inside) {
    document.activeElement.blur();
    place = null;
    return;
  }
  // up and down scroll the page until a draw is chosen
  if (!across && !(down && inside)) return;
  const count = document.querySelectorAll("[data-trend] .trend-strip").length;
  if (!count) return;
  if (!inside) go(across > 0 ? 0 : draws().length - 1, place?.[1] ?? 0);
  else {
    const here = draws().indexOf(inside);
    const analyte = place?.[0] === here ? place[1] : 0;
    go(here + across, Math.min(count - 1, Math.max(0, analyte + down)));
  }
  event.preventDefault();
});

document.addEventListener("focusin", (event) => {
  if (event.target instanceof Element && !event.target.closest("[data-trend]") && event.target !== document.body) place = null;
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.id !== "trend" || !document.activeElement?.closest("[data-trend]")) place = null;
});

document.addEventListener("htmx:afterSettle", () => {
  prepare();
  if (place && document.activeElement === document.body) go(...place);
});

document.addEventListener("click", (event) => {
  if (event.target instanceof Element && event.target.closest("[data-print]")) window.print();
});

prepare();
