// The jump box: arrows walk the matches, Escape leaves, an emptied field empties the list.

const form = document.querySelector("[data-jump]");
const field = form?.querySelector("input");
const found = document.getElementById("jump-found");

const step = (direction) => {
  const stops = [field, ...found.querySelectorAll("a")];
  const here = stops.indexOf(document.activeElement);
  stops[(here + direction + stops.length) % stops.length].focus();
};

form?.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    step(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape") {
    found.replaceChildren();
    document.activeElement.blur();
  }
});

field?.addEventListener("input", () => {
  if (!field.value.trim()) found.replaceChildren();
});
