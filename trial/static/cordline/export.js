// Ticks all datasets or none; without scripts the two buttons are not there.

const group = document.querySelector(".export-tick");
if (group) group.hidden = false;

group?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-tick]");
  if (!button) return;
  for (const box of document.querySelectorAll("input[name=datasets]")) box.checked = button.dataset.tick === "all";
});
