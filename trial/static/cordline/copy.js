// Copies a text of the page: <button data-copy="id of the text" data-copied="what to say then">.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  const text = button && document.getElementById(button.dataset.copy);
  if (!text) return;
  try {
    await navigator.clipboard.writeText(text.value ?? text.textContent.trim());
  } catch {
    // without the right to the clipboard the text is selected, ready for Ctrl+C
    if (text.select) text.select();
    else getSelection().selectAllChildren(text);
    return;
  }
  const before = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = before; }, 2000);
});
