// Prints the page: <button data-print>.

// a figure further down is not loaded before somebody scrolls there; on paper it stands all the same
const printAll = async () => {
  const pictures = [...document.querySelectorAll("img[loading]")];
  for (const picture of pictures) picture.loading = "eager";
  await Promise.allSettled(pictures.map((picture) => picture.decode()));
  print();
};

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) printAll();
});
