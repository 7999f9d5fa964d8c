// Runs in the head, before anything is drawn, so that a dark page never flashes white.
// A cookie and no storage, because logging out empties the storage of this address.
(() => {
  const chosen = () => document.cookie.match(/(?:^|; )cordline-theme=(light|dark|system)/)?.[1] ?? "system";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    const theme = chosen();
    document.documentElement.dataset.bsTheme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
  };
  show();
  dark.addEventListener("change", show);
  addEventListener("DOMContentLoaded", () => {
    const choices = [...document.querySelectorAll("[data-theme-choice]")];
    const mark = () => {
      for (const choice of choices) choice.checked = choice.value === chosen();
    };
    mark();
    for (const choice of choices)
      choice.addEventListener("change", () => {
        const secure = location.protocol === "https:" ? "; secure" : "";
        document.cookie = `cordline-theme=${choice.value}; path=/; max-age=31536000; samesite=lax${secure}`;
        show();
        mark();
      });
  });
})();
