// Keys. A page says what a key does with data attributes; this file only listens.
//   data-key="n"            click a link or button, focus a field
//   data-key="Ctrl+s"       the same while typing
//   data-rows / data-row / data-row-open   j, k and Enter walk the rows
// Single letters are off while typing, and altogether when the person has switched them off.

const typing = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    target.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=button], [type=submit])"));

// a cookie and no storage, because logging out empties the storage of this address
const lettersOff = () => /(?:^|; )cordline-letters=off/.test(document.cookie);
const shown = (element) => element.getClientRects().length > 0 && !element.closest("[inert]");

const press = (element) => {
  if (element.matches("input:not([type=checkbox], [type=radio], [type=submit]), textarea, select")) {
    element.focus();
    element.select?.();
  } else element.click();
};

// --- rows ---------------------------------------------------------------------------------------

const rows = () => {
  const list = [...document.querySelectorAll("[data-rows]")].find(shown);
  return list ? [...list.querySelectorAll("[data-row]")].filter(shown) : [];
};

const select = (row, { focus = true } = {}) => {
  for (const other of document.querySelectorAll("[data-row].is-selected"))
    if (other !== row) other.classList.remove("is-selected");
  row.classList.add("is-selected");
  if (!focus) return;
  const open = row.querySelector("[data-row-open]") ?? row.querySelector("a, button, [data-row-focus]");
  open?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
};

const walk = (step) => {
  const all = rows();
  if (!all.length) return false;
  const here = all.findIndex((row) => row.classList.contains("is-selected"));
  const reached = all.some((row) => row.contains(document.activeElement));
  // the first press shows where one stands, the next ones move
  const next = here < 0 ? 0 : reached ? Math.min(all.length - 1, Math.max(0, here + step)) : here;
  select(all[next]);
  return true;
};

const openSelected = () => {
  const row = rows().find((one) => one.classList.contains("is-selected"));
  const open = row?.querySelector("[data-row-open]");
  if (!open) return false;
  open.click();
  return true;
};

document.addEventListener("focusin", (event) => {
  const row = event.target instanceof Element && event.target.closest("[data-row]");
  if (row) select(row, { focus: false });
});

document.addEventListener("click", (event) => {
  const row = event.target instanceof Element && event.target.closest("[data-row]");
  if (row && !event.target.closest("a, button, input, select, label, summary")) select(row);
});

const selectFirst = () => {
  const all = rows();
  if (all.length && !all.some((row) => row.classList.contains("is-selected"))) select(all[0], { focus: false });
};

// --- the list of keys ---------------------------------------------------------------------------

const dialog = document.getElementById("shortcuts");

// what a key does is written on what it presses; the foot of a page need not repeat every one
const meaningOf = (element) => {
  const copy = element.cloneNode(true);
  for (const cap of copy.querySelectorAll(".key, svg")) cap.remove();
  const said = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? copy.textContent;
  return said.trim().replace(/\s+/g, " ");
};

const unlisted = (entries) => {
  const listed = new Set();
  for (const entry of entries) {
    const caps = [...entry.querySelectorAll(".key")].map((cap) => cap.textContent.trim().toLowerCase());
    for (const cap of caps) listed.add(cap);
    listed.add(caps.join("+"));
    if (/^\d$/.test(caps.at(-1) ?? "")) listed.add("digits");
  }
  const found = new Map();
  for (const element of document.querySelectorAll("[data-key]")) {
    const name = element.dataset.key;
    const known = listed.has(name.toLowerCase()) || (/^\d$/.test(name) && listed.has("digits"));
    if (!known && !found.has(name) && shown(element) && meaningOf(element)) found.set(name, element);
  }
  return found;
};

const openShortcuts = () => {
  if (!dialog || dialog.open) return;
  const keys = document.querySelectorAll(".footer-keys .footer-key:not([data-shortcuts-open])");
  const section = dialog.querySelector("[data-page-keys]");
  const list = section.querySelector("dl");
  list.replaceChildren();
  for (const entry of keys) {
    const term = document.createElement("dt");
    const meaning = document.createElement("dd");
    for (const part of entry.childNodes)
      if (part instanceof Element && part.matches(".key")) term.append(part.cloneNode(true), " ");
      else meaning.append(part.cloneNode(true));
    list.append(term, meaning);
  }
  for (const [name, element] of unlisted(keys)) {
    const term = document.createElement("dt");
    const meaning = document.createElement("dd");
    for (const part of name.split("+")) {
      const cap = document.createElement("kbd");
      cap.className = "key";
      cap.textContent = name.includes("+") && part.length === 1 ? part.toUpperCase() : part;
      term.append(cap, " ");
    }
    meaning.textContent = meaningOf(element);
    list.append(term, meaning);
  }
  section.hidden = !list.children.length;
  dialog.showModal();
};

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element)) return;
  if (event.target.closest("[data-shortcuts-open]")) {
    closeMenus();
    openShortcuts();
  }
  if (event.target === dialog) dialog.close();
  closeMenus(event.target.closest("[data-menu]"));
});

function closeMenus(except = null) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (menu !== except) menu.open = false;
}

// --- keys ---------------------------------------------------------------------------------------

const combination = (event) => {
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  parts.push(parts.length && event.key.length === 1 ? event.key.toLowerCase() : event.key);
  return parts.join("+");
};

const bound = (name) => [...document.querySelectorAll(`[data-key="${CSS.escape(name)}"]`)].find(shown);

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const name = combination(event);
  const chord = name.includes("+") && name.length > 1;

  if (name === "Escape") {
    const menu = document.querySelector("details[data-menu][open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (event.target instanceof HTMLElement && event.target.closest("[data-jump]")) event.target.blur();
    return;
  }
  if (dialog?.open) return;
  if (!chord && (typing(event.target) || (name.length === 1 && lettersOff()))) return;

  const target = bound(name);
  if (target) {
    event.preventDefault();
    press(target);
    return;
  }
  if (chord) return;
  if (name === "/") {
    const jump = document.getElementById("jump");
    if (!jump) return;
    event.preventDefault();
    jump.focus();
    jump.select();
  } else if (name === "?") {
    event.preventDefault();
    openShortcuts();
  } else if (name === "j" || name === "k") {
    if (walk(name === "j" ? 1 : -1)) event.preventDefault();
  } else if (name === "Enter" && (event.target === document.body || event.target.matches("main, [data-row]"))) {
    if (openSelected()) event.preventDefault();
  }
});

// --- preference ---------------------------------------------------------------------------------

for (const box of document.querySelectorAll("[data-letters-switch]")) {
  box.checked = !lettersOff();
  box.addEventListener("change", () => {
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `cordline-letters=${box.checked ? "on" : "off"}; path=/; max-age=31536000; samesite=lax${secure}`;
  });
}

document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
selectFirst();
document.addEventListener("htmx:afterSettle", selectFirst);

// what is drawn as wrong is told to a screen reader as wrong, wherever it is drawn
for (const field of document.querySelectorAll("main .is-invalid:not([aria-invalid])")) field.setAttribute("aria-invalid", "true");

// a form that was refused: the focus stands in the first field that is wrong, or on the reason that is asked for
const firstOf = (names) => [...document.querySelectorAll(names)].find(shown);
const start =
  firstOf(
    "main [aria-invalid=true], main .fact:has(.fact-note .danger) input, main .change-reason.is-wrong input[type=radio]",
  ) ??
  refusal() ??
  firstOf("[data-focus-first] :is(input:not([type=hidden]), select, textarea)");
const focused = document.activeElement;
if (start && (!focused || focused === document.body || focused.autofocus)) chosenOf(start).focus();

// what was refused as a whole has no field of its own: the sentence that says why
function refusal() {
  const said = firstOf("main form[method=post] .banner-danger[role=alert]");
  if (said) said.tabIndex = -1;
  return said;
}

// of several circles the one that is chosen, as Tab would have it
function chosenOf(field) {
  if (field.type !== "radio" || !field.form) return field;
  return [...field.form.elements].find((other) => other.name === field.name && other.checked) ?? field;
}
