// Visit entry: walk the column by keyboard, ask the server about what is typed, pick reasons and units by key.
// The server decides everything; without this file the same form works with its buttons.

const form = document.getElementById("panel");
const values = () => [...form.querySelectorAll("[data-value]")];
const partOf = (element) => element.closest("[data-analyte]");
const find = (part, name) => part.querySelector(`[data-part="${name}"]`);

// --- checking what is typed ---------------------------------------------------------------------

let asked = 0;
// on the form for everybody to see: whether an answer about what is typed is on its way
form.dataset.checkState = "done";

const check = async () => {
  const ticket = ++asked;
  form.dataset.checkState = "asking";
  try {
    await askAndShow(ticket);
  } finally {
    if (ticket === asked) form.dataset.checkState = "done";
  }
};

const askAndShow = async (ticket) => {
  const body = new FormData(form);
  body.append("check", "1");
  let answer;
  try {
    answer = await fetch(form.dataset.checkUrl, {
      method: "POST",
      body,
      credentials: "same-origin",
      headers: { "HX-Request": "true" },
    });
  } catch {
    return;
  }
  // a later question makes this answer old
  if (!answer.ok || ticket !== asked) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of form.querySelectorAll("[data-analyte]")) {
    const fresh = page.getElementById(part.id);
    if (fresh) show(part, fresh);
  }
  for (const template of page.querySelectorAll("template[data-part-of]")) {
    const target = form.querySelector(`[data-part="${template.dataset.partOf}"]`);
    if (target && !target.contains(document.activeElement)) target.replaceChildren(...template.content.childNodes);
  }
  for (const field of form.querySelectorAll("#id_visited_on, #id_drawn_at")) {
    const isWrong = Boolean(document.getElementById(`${field.name}-errors`)?.textContent.trim());
    field.classList.toggle("is-invalid", isWrong);
    if (isWrong) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
  sayAloud();
  document.body.dispatchEvent(new CustomEvent("panel-checked"));
};

// a screen reader hears a question when it comes up: whoever typed it is in another field by then
const aloud = document.createElement("p");
aloud.className = "visually-hidden";
aloud.setAttribute("role", "status");
form.append(aloud);

const raised = () =>
  [...form.querySelectorAll(":is([data-part=message]:not([hidden]), [data-part=day]) :is(.banner-warn, .banner-danger) strong")].map(
    (said) => {
      const text = said.textContent.trim();
      const name = partOf(said)?.querySelector(".entry-name strong").textContent ?? "";
      return text.startsWith(name) ? text : `${name} ${text}`;
    },
  );

let heard = new Set(raised());
const sayAloud = () => {
  const now = raised();
  const fresh = now.filter((text) => !heard.has(text));
  heard = new Set(now);
  if (fresh.length || !now.length) aloud.textContent = fresh.join(" ");
};

// everything but the input a person may be typing in
const show = (part, fresh) => {
  const cell = find(part, "cell");
  const input = part.querySelector("[data-value]");
  const other = fresh.querySelector("[data-value]");
  cell.className = find(fresh, "cell").className;
  input.toggleAttribute("aria-invalid", other.hasAttribute("aria-invalid"));
  if (other.hasAttribute("aria-invalid")) input.setAttribute("aria-invalid", "true");
  input.placeholder = other.placeholder;
  const unit = part.querySelector("select[data-unit]");
  if (unit && document.activeElement !== unit) unit.value = fresh.querySelector("select[data-unit]").value;
  for (const name of ["against", "reference"]) find(part, name).replaceChildren(...find(fresh, name).childNodes);
  const message = find(part, "message");
  const busy = message.contains(document.activeElement);
  if (!busy) {
    message.replaceChildren(...find(fresh, "message").childNodes);
    message.hidden = find(fresh, "message").hidden;
  }
  reveal(part);
};

const reveal = (part) => {
  for (const button of part.querySelectorAll("[data-why-none]")) button.hidden = false;
};

// --- walking ------------------------------------------------------------------------------------

const step = (input, by) => {
  const all = values();
  const next = all[all.indexOf(input) + by];
  if (!next) return false;
  next.focus();
  next.select();
  return true;
};

const openReasons = (part, open = true) => {
  const reasons = find(part, "reasons");
  reasons.hidden = !open && !part.querySelector("[data-reason]:checked")?.value;
};

const pick = (part, number) => {
  const choice = part.querySelector(`[data-reason="${number}"]`);
  if (!choice) return false;
  choice.checked = true;
  choice.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
};

const dayInDoubt = () => form.querySelector("#confirm_visited_on:not(:checked)");

const openWay = (key) =>
  form.querySelector(`.is-warned`)?.closest("[data-analyte]").querySelector(key === "u" ? "[data-use-unit]" : "[data-confirm]") ??
  (key === "y" ? dayInDoubt() : null);

const reasonsOpen = (part) => !find(part, "reasons").hidden;

const back = (part) => {
  const input = part.querySelector("[data-value]");
  const unit = part.querySelector("select[data-unit]");
  input.value = input.dataset.stored;
  if (unit) unit.value = unit.dataset.stored;
  check();
};

// below the last value: the day, when it is still missing or in doubt, else the save
const afterLast = () => {
  const day = form.querySelector("#id_visited_on");
  (day.value && !dayInDoubt() ? form.querySelector("[data-save]") : day).focus();
};

form.addEventListener("keydown", (event) => {
  const input = event.target.closest?.("[data-value]");
  if (!input || event.isComposing) return;
  const part = partOf(input);
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (plain && event.key === "Enter") {
    event.preventDefault();
    if (!step(input, event.shiftKey ? -1 : 1)) afterLast();
  } else if (plain && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    step(input, event.key === "ArrowDown" ? 1 : -1);
  } else if (event.altKey && event.key === "ArrowRight") {
    event.preventDefault();
    part.querySelector("select[data-unit]")?.focus();
  } else if (event.key === "F2") {
    event.preventDefault();
    openReasons(part, !reasonsOpen(part));
  } else if (plain && reasonsOpen(part) && !input.value && /^[0-6]$/.test(event.key)) {
    event.preventDefault();
    pick(part, event.key);
  } else if (plain && event.key === "m" && !input.value && !values().some((other) => other.value)) {
    event.preventDefault();
    document.querySelector("[data-not-done]")?.click();
  } else if (plain && (event.key === "u" || event.key === "y")) {
    // no value begins with a letter: in an empty field the key answers the first open question of the column
    const way = part.querySelector(event.key === "u" ? "[data-use-unit]" : "[data-confirm]") ?? (input.value ? null : openWay(event.key));
    if (!way) return;
    event.preventDefault();
    way.click();
  } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && input.value === input.defaultValue) {
    // nothing of its own to undo: the key goes back to what is stored
    event.preventDefault();
    back(part);
  }
});

// the bedside: any value's field leads there with a, Enter goes on
const findings = () => [...form.querySelectorAll("[data-finding]")];
form.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "a" && event.target.closest?.("[data-value]")) {
    event.preventDefault();
    findings()[0]?.focus();
  } else if (event.key === "Enter" && event.target.closest?.("[data-finding]")) {
    event.preventDefault();
    const all = findings();
    const next = all[all.indexOf(event.target) + 1];
    if (next) next.focus();
    else afterLast();
  }
});

// the draw: Enter goes on, y keeps a day in doubt
form.addEventListener("keydown", (event) => {
  const field = event.target.closest?.("[data-draw]");
  if (!field || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Enter") {
    event.preventDefault();
    const all = [...form.querySelectorAll("[data-draw]")];
    (all[all.indexOf(field) + 1] ?? form.querySelector("[data-save]")).focus();
  } else if (event.key === "y" && field.id === "id_visited_on") {
    const keep = form.querySelector("#confirm_visited_on");
    event.preventDefault();
    keep?.click();
  }
});

form.addEventListener("keydown", (event) => {
  const unit = event.target.closest?.("select[data-unit]");
  if (!unit) return;
  if (event.key === "Enter" || (event.altKey && event.key === "ArrowLeft")) {
    event.preventDefault();
    const input = partOf(unit).querySelector("[data-value]");
    if (event.key !== "Enter" || !step(input, 1)) input.focus();
  }
});

// Tab goes from value to value; the unit is one Alt+right away
for (const unit of form.querySelectorAll("select[data-unit]")) unit.tabIndex = -1;
for (const part of form.querySelectorAll("[data-analyte]")) reveal(part);

// --- changes ------------------------------------------------------------------------------------

// a laboratory brings its units to where nothing is typed yet
const presetUnits = (laboratory) => {
  const preset = new Map(
    (laboratory.selectedOptions[0]?.dataset.units ?? "")
      .split(" ")
      .filter(Boolean)
      .map((pair) => pair.split("=")),
  );
  for (const part of form.querySelectorAll("[data-analyte]")) {
    const unit = part.querySelector("select[data-unit]");
    if (unit && !part.querySelector("[data-value]").value)
      unit.value = preset.get(part.dataset.analyte) ?? unit.dataset.standard;
  }
};

form.addEventListener("change", (event) => {
  const { target } = event;
  if (target.matches("[data-laboratory]")) presetUnits(target);
  if (target.matches("[data-reason]")) {
    const part = partOf(target);
    if (target.value) part.querySelector("[data-value]").value = "";
    openReasons(part, Boolean(target.value));
    check();
  } else if (target.matches("[data-value], [data-unit], [data-draw], [data-confirm]")) check();
});

form.addEventListener("input", (event) => {
  if (!event.target.matches("[data-value]") || !event.target.value) return;
  // typing a value takes the reason back
  const part = partOf(event.target);
  const none = part.querySelector('[data-reason="0"]');
  if (none && !none.checked) {
    none.checked = true;
    openReasons(part, false);
  }
});

form.addEventListener("click", (event) => {
  const use = event.target.closest("[data-use-unit]");
  if (use) {
    event.preventDefault();
    const part = partOf(use);
    part.querySelector("select[data-unit]").value = use.value;
    // whoever typed on in the next field stays there
    if (!document.activeElement?.matches("[data-value]")) part.querySelector("[data-value]").focus();
    check();
    return;
  }
  const why = event.target.closest("[data-why-none]");
  if (why) {
    const part = partOf(why);
    openReasons(part);
    part.querySelector("[data-reason]").focus();
  }
});

// --- leaving ------------------------------------------------------------------------------------

let leaving = false;
form.addEventListener("submit", () => {
  leaving = true;
});
const touched = () => values().some((input) => input.value !== input.defaultValue);
addEventListener("beforeunload", (event) => {
  if (!leaving && touched()) event.preventDefault();
});

const first =
  form.querySelector(".conflict input[type=radio]") ??
  form.querySelector(".is-wrong [data-value], .is-warned [data-value]") ??
  form.querySelector("[data-draw][aria-invalid]") ??
  form.querySelector(".change-reason.is-wrong input") ??
  values().find((input) => !input.value) ??
  values()[0];
first?.focus({ preventScroll: true });
