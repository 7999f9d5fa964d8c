// Steps through the draws of a trend with the arrow keys, and prints. Without this file hover and Tab do the same.

const draws = () => [...document.querySelectorAll("[data-trend] .trend-draw")];

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.closest("input, select, textarea, [contenteditable]")) return;
  if (event.target.closest(".table-scroll")) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const all = draws();
  if (!all.length) return;
  const here = all.indexOf(document.activeElement);
  const next = here === -1 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, here + step));
  all[next].focus();
  event.preventDefault();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) window.print();
});
