// Ticking what agrees with its source. Space ticks one, "a" all that are not verified yet, or none again.

const all = document.querySelector("[data-tick-all]");
const boxes = () => [...document.querySelectorAll("[data-tick]:not([data-verified])")];

if (all) {
  all.hidden = false;
  all.addEventListener("click", () => {
    const ticked = boxes().every((box) => box.checked);
    for (const box of boxes()) box.checked = !ticked;
  });
}
