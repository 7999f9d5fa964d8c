// Runs in the head, before anything is drawn, so that a dark page never flashes white.
(() => {
  const chosen = localStorage.getItem("cordline.theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = (theme) => {
    document.documentElement.dataset.bsTheme =
      theme === "light" || theme === "dark" ? theme : dark.matches ? "dark" : "light";
  };
  show(chosen);
  dark.addEventListener("change", () => show(localStorage.getItem("cordline.theme")));
  addEventListener("storage", (event) => {
    if (event.key === "cordline.theme") show(event.newValue);
  });
  addEventListener("DOMContentLoaded", () => {
    const current = localStorage.getItem("cordline.theme") ?? "system";
    for (const choice of document.querySelectorAll("input[name=theme]")) {
      choice.checked = choice.value === current;
      choice.addEventListener("change", () => {
        localStorage.setItem("cordline.theme", choice.value);
        show(choice.value);
        for (const same of document.querySelectorAll(`input[name=theme][value=${choice.value}]`))
          same.checked = true;
      });
    }
  });
})();
