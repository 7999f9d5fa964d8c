// A filter that is chosen takes effect at once; what is typed waits for Enter.

const form = document.querySelector("[data-filters]");

form?.addEventListener("change", (event) => {
  if (event.target instanceof HTMLSelectElement) form.requestSubmit();
});

// empty fields stay out of the address
form?.addEventListener("submit", () => {
  for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
});
window.addEventListener("pageshow", () => {
  for (const field of form?.elements ?? []) field.disabled = false;
});
