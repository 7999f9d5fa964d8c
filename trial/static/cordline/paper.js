// Prints the page: <button data-print>; copies a text of it: <button data-copy="id of the text" data-copied="what to say then">.

// a figure further down is not loaded before somebody scrolls there; on paper it stands all the same
const printAll = async () => {
  const pictures = [...document.querySelectorAll("img[loading]")];
  for (const picture of pictures) picture.loading = "eager";
  await Promise.allSettled(pictures.map((picture) => picture.decode()));
  print();
};

document.addEventListener("click", async (event) => {
  if (event.target.closest("[data-print]")) printAll();
  const button = event.target.closest("[data-copy]");
  const text = button && document.getElementById(button.dataset.copy);
  if (!text) return;
  try {
    await navigator.clipboard.writeText(text.textContent.trim());
  } catch {
    // without the right to the clipboard the text is selected, ready for Ctrl+C
    getSelection().selectAllChildren(text);
    return;
  }
  const before = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = before; }, 2000);
});
