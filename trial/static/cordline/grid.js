// Grid entry: walk the cells by keyboard, paste a block from a spreadsheet, take it back, ask the server about what is
// typed. The server decides everything; without this file the same form works as it stands.

const form = document.getElementById("grid");
const parts = () => [...form.querySelectorAll("[data-grid-row]")];
const partOf = (element) => element.closest("[data-grid-row]");
const cellsOf = (part) => [...part.querySelectorAll("[data-cell]")];
const cellAt = (part, column) => part.querySelector(`[data-cell][data-column="${column}"]`);
const heads = () => [...form.querySelectorAll("thead [data-column]")];
const columns = () => heads().map((head) => head.dataset.column);
const say = (words, ...values) => values.reduce((text, value, i) => text.replace(`{${i + 1}}`, value), words);

// --- checking what is typed ---------------------------------------------------------------------

const asked = new Map();
let tickets = 0;

const isSheets = (name) => !/^(c|day|confirm|keep|seen)_\d/.test(name);

const check = async (rows) => {
  const asking = rows.filter((part) => !part.classList.contains("is-locked"));
  if (!asking.length) return;
  const ticket = ++tickets;
  for (const part of asking) asked.set(part.id, ticket);
  const ids = new Set(asking.map((part) => part.dataset.gridRow));
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form))
    if (isSheets(name) || ids.has(name.split("_")[1])) body.append(name, value);
  body.append("check", [...ids].join(" "));
  let answer;
  try {
    answer = await fetch(form.dataset.checkUrl, { method: "POST", body, credentials: "same-origin", headers: { "HX-Request": "true" } });
  } catch {
    return;
  }
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(`<table>${await answer.text()}</table>`, "text/html");
  for (const part of asking) {
    const fresh = page.getElementById(part.id);
    // a later question makes this answer old
    if (fresh && asked.get(part.id) === ticket) show(part, fresh);
  }
  count();
};

// everything but the inputs a person may be typing in
const show = (part, fresh) => {
  part.dataset.touched = fresh.dataset.touched;
  for (const input of cellsOf(part)) {
    const other = cellAt(fresh, input.dataset.column);
    input.closest("td").className = other.closest("td").className;
    for (const name of ["aria-invalid", "aria-describedby", "placeholder", "title"])
      if (other.hasAttribute(name)) input.setAttribute(name, other.getAttribute(name));
      else input.removeAttribute(name);
  }
  const message = part.querySelector(".grid-message");
  if (message.contains(document.activeElement)) return;
  // what two people wrote stays to be decided, whatever else is typed
  const clashes = message.querySelector(".conflict");
  if (clashes) {
    for (const hidden of fresh.querySelectorAll(".grid-said > [type=hidden]")) hidden.remove();
    fresh.querySelector(".grid-said").prepend(...message.querySelectorAll(".grid-said > [type=hidden]"), clashes);
    fresh.querySelector(".grid-message").hidden = false;
  }
  message.replaceChildren(...fresh.querySelector(".grid-message").childNodes);
  message.hidden = fresh.querySelector(".grid-message").hidden;
};

const count = () => {
  const place = form.querySelector("[data-counts]");
  const typed = parts().reduce((sum, part) => sum + Number(part.dataset.touched || 0), 0);
  const wrong = form.querySelectorAll(".grid-row .is-wrong").length;
  place.textContent = say(place.dataset.words, typed, wrong, form.querySelectorAll(".grid-row .is-warned").length);
};

// --- walking ------------------------------------------------------------------------------------

const enter = (input) => {
  if (!input) return false;
  input.focus();
  input.select();
  return true;
};

const down = (input, by) => {
  const all = parts();
  const next = all[all.indexOf(partOf(input)) + by];
  return next ? enter(cellAt(next, input.dataset.column)) : false;
};

const across = (input, by) => {
  const all = cellsOf(partOf(input));
  return enter(all[all.indexOf(input) + by]);
};

// the caret walks inside a text first, and leaves it at its ends
const leaves = (input, key) => {
  const { selectionStart: from, selectionEnd: to, value } = input;
  if (!value.length || (from === 0 && to === value.length)) return true;
  return from === to && (key === "ArrowLeft" ? from === 0 : from === value.length);
};

// --- undo: one step for a paste, one for a cell ---------------------------------------------------

const steps = [];
let before = "";

const put = (input, text) => {
  if (input.value === text) return false;
  input.value = text;
  return true;
};

const remember = (changes, isPaste = false) => {
  if (changes.length) steps.push({ changes, isPaste });
};

const undo = () => {
  const step = steps.pop();
  if (!step) return false;
  for (const { input, text } of step.changes) put(input, text);
  const { input } = step.changes[0];
  input.dispatchEvent(new Event("input", { bubbles: true }));
  enter(input);
  before = input.value;
  check([...new Set(step.changes.map((change) => partOf(change.input)))]);
  if (step.isPaste) report([], say(told.dataset.undone, step.changes.length));
  return true;
};

const write = (input, text) => {
  const was = input.value;
  if (!put(input, text)) return;
  remember([{ input, text: was }]);
  if (input === document.activeElement) before = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  check([partOf(input)]);
};

form?.addEventListener("focusin", (event) => {
  if (event.target.matches("[data-cell]")) before = event.target.value;
});

// --- why there is no value ------------------------------------------------------------------------

const reasons = document.getElementById("grid-reasons");
let reasonFor = null;

const openReasons = (input) => {
  reasonFor = input;
  reasons.hidden = !input;
  if (input) reasons.querySelector("[data-for]").textContent = input.getAttribute("aria-label");
};

const pick = (number) => {
  const choice = reasons.querySelector(`[data-missing="${number}"]`);
  const input = reasonFor;
  if (!choice || !input) return false;
  openReasons(null);
  write(input, choice.dataset.label);
  enter(input);
  return true;
};

reasons?.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-missing]");
  if (choice) pick(choice.dataset.missing);
});

// --- keys -------------------------------------------------------------------------------------------

// the question of this cell; from an empty cell the first one that is open
const way = (input, kind) => {
  const name = kind === "u" ? "data-use-unit" : "data-keep-cell";
  const own = partOf(input).querySelector(`[${name}="${input.dataset.column}"]`);
  // the answer to what stood here before is not for what stands here now
  if (own?.dataset.text && !own.dataset.text.startsWith(input.value)) return null;
  if (own || input.value) return own;
  return form.querySelector(kind === "u" ? "[data-use-unit]" : "[data-keep-cell]:not(:checked)");
};

const useUnit = (button) => {
  write(cellAt(partOf(button), button.dataset.useUnit), button.dataset.text);
};

form?.addEventListener("keydown", (event) => {
  const input = event.target.closest?.("[data-cell]");
  if (!input || event.isComposing) return;
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const { key } = event;
  let done = false;
  if (plain && key === "Enter") {
    done = true;
    if (!down(input, event.shiftKey ? -1 : 1) && !event.shiftKey) form.querySelector("[data-save]").focus();
  } else if (plain && !event.shiftKey && (key === "ArrowDown" || key === "ArrowUp")) {
    done = true;
    down(input, key === "ArrowDown" ? 1 : -1);
  } else if (plain && !event.shiftKey && (key === "ArrowLeft" || key === "ArrowRight")) {
    done = leaves(input, key) && across(input, key === "ArrowLeft" ? -1 : 1);
  } else if (key === "F2" && input.dataset.column !== "day" && !input.readOnly) {
    done = true;
    openReasons(reasonFor ? null : input);
  } else if (plain && key === "Escape") {
    done = true;
    if (reasonFor) openReasons(null);
    else if (!input.readOnly) {
      write(input, input.dataset.stored);
      input.select();
    }
    event.stopPropagation();
  } else if (plain && reasonFor === input && /^[1-6]$/.test(key)) done = pick(key);
  else if (plain && (key === "y" || key === "u")) {
    // no value begins with a letter of these
    const button = way(input, key);
    done = Boolean(button);
    button?.click();
  } else if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "z" && input.value === before) {
    // what is being typed in the cell is the browser's to take back
    done = undo();
  }
  if (done) event.preventDefault();
});

form?.addEventListener("keydown", (event) => {
  if (!event.target.closest?.("[data-change-reason]") || !/^[1-6]$/.test(event.key)) return;
  event.preventDefault();
  const other = form.querySelector(`[data-change-reason="${event.key}"]`);
  other.checked = true;
  other.focus();
  other.dispatchEvent(new Event("change", { bubbles: true }));
});

// --- changes ----------------------------------------------------------------------------------------

const unitsOf = (laboratory) =>
  new Map((laboratory.selectedOptions[0]?.dataset.units ?? "").split(" ").filter(Boolean).map((pair) => pair.split("=")));

// the head follows the laboratory; what is stored in another unit says so in its cell
const presetUnits = (laboratory) => {
  const preset = unitsOf(laboratory);
  for (const head of heads()) {
    if (!head.dataset.standard) continue;
    head.dataset.unit = preset.get(head.dataset.column) ?? head.dataset.standard;
    head.querySelector("[data-symbol]").textContent = head.dataset.unit.replace(/^u(?=mol|g|kat)/, "µ").replace("10^9", "×10⁹").replace("10^3/uL", "×10³/µL");
  }
  for (const input of form.querySelectorAll("[data-cell][data-unit]")) {
    const head = heads().find((one) => one.dataset.column === input.dataset.column);
    const bare = input.dataset.stored.split(" ")[0];
    const shown = input.dataset.unit === head.dataset.unit ? bare : `${bare} ${input.dataset.unit}`;
    if (input.value === input.dataset.stored) input.value = shown;
    input.dataset.stored = shown;
  }
  check(parts().filter((part) => part.dataset.touched));
};

form?.addEventListener("change", (event) => {
  const { target } = event;
  if (target.matches("[data-laboratory]")) presetUnits(target);
  else if (target.matches("[data-keep-cell]")) check([partOf(target)]);
  else if (target.matches("[data-cell]")) {
    if (target.value !== before) remember([{ input: target, text: before }]);
    before = target.value;
    openReasons(null);
    check([partOf(target)]);
  }
});

form?.addEventListener("draft-restored", () => {
  check(parts().filter((part) => cellsOf(part).some((input) => input.value !== input.defaultValue)));
});

form?.addEventListener("click", (event) => {
  const use = event.target.closest("[data-use-unit]");
  if (!use) return;
  event.preventDefault();
  useUnit(use);
});

// --- paste --------------------------------------------------------------------------------------------

const told = document.getElementById("grid-paste");

const report = (problems, headline) => {
  told.hidden = false;
  const strong = document.createElement("strong");
  strong.textContent = headline;
  told.replaceChildren(strong);
  if (!problems.length) return;
  const list = document.createElement("ul");
  for (const problem of problems) {
    const line = document.createElement("li");
    line.textContent = problem;
    list.append(line);
  }
  told.append(list);
};

// rows of tab-separated cells as spreadsheets copy them: a cell with a tab, a quote or a line break stands in quotes
const blockOf = (text) => {
  const rows = [[]];
  const found = /"((?:[^"]|"")*)"(?=\t|\r?\n|$)|([^\t\r\n]*)/y;
  let place = 0;
  while (place <= text.length) {
    found.lastIndex = place;
    const match = found.exec(text);
    rows[rows.length - 1].push((match[1]?.replaceAll('""', '"') ?? match[2]).trim());
    place = found.lastIndex;
    if (place >= text.length) break;
    if (text[place] === "\t") place += 1;
    else {
      place += text.startsWith("\r\n", place) ? 2 : 1;
      if (place >= text.length) break;
      rows.push([]);
    }
  }
  return rows;
};

const plain = (text) =>
  text
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll("μ", "u")
    .replace(/[\s_\-./:]+/g, " ")
    .trim();

const unitInBrackets = /[([（［]\s*([^()[\]（）［］]*?)\s*[)\]）］]\s*$/;

// a header names a column, and perhaps the unit of what stands under it
const columnOf = (header) => {
  const unit = header.match(unitInBrackets)?.[1] ?? "";
  const name = plain(header.replace(unitInBrackets, ""));
  if (!name) return null;
  const head = heads().find((one) => one.dataset.names.split("|").includes(name));
  return head ? { column: head.dataset.column, unit: head.dataset.unit ? otherUnit(head, unit) : "" } : null;
};

// brackets may hold another name of the same analyte, or a Chinese part of one
const isItsName = (head, text) =>
  head.dataset.names
    .split("|")
    .some((name) => name === plain(text) || (/^[\u4e00-\u9fff]+$/.test(text) && name.includes(text)));

const otherUnit = (head, unit) => {
  const same = (text) => text.normalize("NFKC").toLowerCase().replaceAll("μ", "u").replace(/[\s×x]/g, "");
  const mine = [head.dataset.unit, head.querySelector("[data-symbol]").textContent];
  return !unit || isItsName(head, unit) || mine.some((one) => same(one) === same(unit)) ? "" : unit;
};

const subjectNames = () => form.querySelector("thead .grid-subject").dataset.names.split("|");
const codeOf = (text) => text.normalize("NFKC").trim().toUpperCase();
// the unit of the header goes behind the number and before what a laboratory prints there; also behind one that has
// to be mended first, so that it is not lost with the mending
const withUnit = (text, unit) => {
  const [, number = "", mark] = text.match(/^(.*\p{N})?(.*)$/su);
  const digits = number.normalize("NFKC").replace(/[<>≤≥⩽⩾《》=+\-−–.,。、'\seExX×*^]/g, "");
  const isNumber = /^\d+$/.test(digits) && /^[\s↑↓▲▼⬆⬇\ufe0f*()（）HL高低偏]*$/u.test(mark);
  return isNumber ? `${number} ${unit} ${mark.trim()}`.trim() : text;
};

// which cell each value of the block goes to, and what goes nowhere
const plan = (block, start) => {
  const all = parts();
  const bySubject = new Map(all.map((part) => [codeOf(part.dataset.subject), part]));
  const problems = [];
  const first = block[0];
  const headed = first.map(columnOf);
  const hasHead = headed.some(Boolean) && block.length > 1;
  const body = hasHead ? block.slice(1) : block;
  const offset = hasHead ? 2 : 1;
  const saysSubject = hasHead && subjectNames().includes(plain(first[0]));
  const hasSubjects = saysSubject || (hasHead && !headed[0]) || body.some((row) => row.length > 1 && bySubject.has(codeOf(row[0])));
  const shown = columns();
  const at = shown.indexOf(start.dataset.column);
  const targets = first.map((header, i) => {
    if (hasSubjects && i === 0) return null;
    if (hasHead) {
      if (!headed[i] && header) problems.push(say(told.dataset.noColumn, i + 1, header));
      return headed[i];
    }
    const column = shown[at + i - (hasSubjects ? 1 : 0)];
    return column ? { column, unit: "" } : null;
  });
  const taken = new Set();
  const cells = [];
  let here = all.indexOf(partOf(start));
  body.forEach((row, i) => {
    const number = i + offset;
    if (!row.some(Boolean)) {
      here += 1;
      return;
    }
    let part = all[here];
    here += 1;
    if (hasSubjects) {
      part = bySubject.get(codeOf(row[0]));
      if (!part) {
        problems.push(row[0] ? say(told.dataset.noSubject, number, row[0]) : say(told.dataset.noSubjectSaid, number, row.filter(Boolean).join(" ")));
        return;
      }
      if (taken.has(part)) {
        problems.push(say(told.dataset.twice, number, row[0]));
        return;
      }
      taken.add(part);
    }
    if (part?.classList.contains("is-locked")) {
      problems.push(say(told.dataset.locked, number, part.dataset.subject));
      return;
    }
    row.forEach((text, j) => {
      if (!text || (hasSubjects && j === 0)) return;
      const target = targets[j];
      if (hasHead && !target && first[j]) return; // said once for the column
      if (!part || !target) {
        problems.push(say(told.dataset.outside, number, j + 1, text));
        return;
      }
      const value = target.unit ? withUnit(text, target.unit) : text;
      cells.push({ input: cellAt(part, target.column), value });
    });
  });
  return { cells, problems };
};

form?.addEventListener("paste", (event) => {
  const input = event.target.closest?.("[data-cell]");
  const text = event.clipboardData?.getData("text/plain") ?? "";
  // one value alone is an ordinary paste
  if (!input || !/[\t\n]/.test(text.replace(/\r?\n$/, ""))) return;
  event.preventDefault();
  const { cells, problems } = plan(blockOf(text), input);
  const changes = [];
  for (const { input: cell, value } of cells) {
    const was = cell.value;
    if (put(cell, value)) changes.push({ input: cell, text: was });
  }
  remember(changes, true);
  before = input.value;
  report(problems, cells.length ? say(told.dataset.filled, cells.length) : told.dataset.none);
  if (!changes.length) return;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  check([...new Set(changes.map((change) => partOf(change.input)))]);
});

// --- leaving --------------------------------------------------------------------------------------------

let leaving = false;
form?.addEventListener("submit", () => {
  leaving = true;
});
form?.addEventListener("draft-saved", () => {
  leaving = true;
});
addEventListener("beforeunload", (event) => {
  const touched = form && [...form.querySelectorAll("[data-cell]")].some((input) => input.value !== input.defaultValue);
  if (touched && !leaving) event.preventDefault();
});

if (form) {
  const first =
    form.querySelector(".grid-clashes input") ??
    form.querySelector(".grid-cell.is-wrong input, .grid-cell.is-warned input") ??
    form.querySelector(".change-reason.is-wrong input") ??
    // only the reason is missing: it is asked for where the digits choose it
    (form.querySelector("[data-needs-reason]") &&
      (form.querySelector("[data-change-reason]:checked") ?? form.querySelector("[data-change-reason]"))) ??
    ["[data-waits] ", ""]
      .flatMap((whose) => [...form.querySelectorAll(`${whose}[data-cell]:not([data-column=day], [readonly])`)])
      .find((input) => !input.value);
  first?.focus({ preventScroll: true });
  first?.closest("[data-waits]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  first?.closest(".change-reason")?.scrollIntoView({ block: "center" });
  if (first?.matches("[data-cell]")) first.select();
}
