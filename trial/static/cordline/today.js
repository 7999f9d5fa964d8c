// The queue: what e, i and m do on the selected row, and keeping the selection when it is read again.

const selected = () => document.querySelector("#today [data-row].is-selected");
const dialog = document.getElementById("missed");
const notices = document.getElementById("notices");

// --- keys of the selected row -------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element && event.target.closest("[data-selected]");
  if (!button) return;
  const row = selected();
  const wanted = button.dataset.selected;
  if (wanted === "missed") {
    if (row?.dataset.missed) ask(row);
  } else if (row?.dataset[wanted]) {
    event.preventDefault();
    location.assign(row.dataset[wanted]);
  }
});

// --- reading the queue again --------------------------------------------------------------------

let kept = null;

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.id !== "today" || !event.detail.shouldSwap) return;
  const all = [...document.querySelectorAll("#today [data-row]")];
  const row = selected();
  const focused = document.activeElement?.closest?.("#today [id]");
  kept = { row: row?.id, place: all.indexOf(row), focused: focused?.id };
});

// settling gives old attributes back, so the row is chosen only after it
document.addEventListener("htmx:afterSettle", () => {
  if (!kept || !document.getElementById("today")) return;
  const all = [...document.querySelectorAll("#today [data-row]")];
  // a row that is done leaves its place to the next one
  const row = document.getElementById(kept.row) ?? all[Math.min(Math.max(kept.place, 0), all.length - 1)];
  for (const other of all) other.classList.toggle("is-selected", other === row);
  if (row && kept.focused) {
    const same = document.getElementById(kept.focused) ?? row.querySelector("[data-row-open]");
    same?.focus({ preventScroll: true });
  }
  kept = null;
});

// --- not done -----------------------------------------------------------------------------------

let row = null;
let count = 0;
let sending = false;

function ask(of) {
  row = of;
  const form = dialog.querySelector("form");
  form.reset();
  dialog.querySelector("[data-problem]").textContent = "";
  dialog.querySelector("[data-what]").textContent = of.dataset.what;
  const once = form.querySelector("[data-one-time]");
  count += 1;
  once.value = `${once.dataset.oneTime}.${count}`;
  form.action = of.dataset.missed;
  dialog.showModal();
  form.querySelector("[data-cause]").focus();
}

dialog?.addEventListener("keydown", (event) => {
  // the keys of the page behind stay silent
  event.stopPropagation();
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input")) return;
  const cause = dialog.querySelector(`[data-cause="${CSS.escape(event.key)}"]`);
  if (!cause) return;
  event.preventDefault();
  cause.click();
});

dialog?.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-dismiss]")) dialog.close();
});

dialog?.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sending) return;
  const form = event.currentTarget;
  const note = form.elements.note;
  const other = form.querySelector("[data-cause]:last-of-type");
  // Enter in the note means the cause that needs one
  const why = event.submitter && document.activeElement !== note ? event.submitter : other;
  if (why === other && !note.value.trim()) {
    note.focus();
    return;
  }
  const body = new FormData(form);
  body.set("why", why.value);
  sending = true;
  try {
    const { ok, told } = await send(form.action, body);
    if (!ok) {
      dialog.querySelector("[data-problem]").textContent = told?.said ?? dialog.dataset.failed;
      return;
    }
    dialog.close();
    row?.querySelector("[data-row-open]")?.focus({ preventScroll: true });
    toast(told.said, told.undo);
    readAgain();
  } finally {
    sending = false;
  }
});

async function send(address, body) {
  try {
    const answer = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" } });
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
    return { ok: answer.ok && isJson, told: isJson ? await answer.json() : null };
  } catch {
    return { ok: false, told: null };
  }
}

const readAgain = () => window.htmx.trigger(document.body, "today-changed");

function toast(said, undo) {
  const banner = document.createElement("div");
  banner.className = "banner banner-note";
  const text = document.createElement("div");
  text.className = "banner-text";
  text.textContent = said;
  const ways = document.createElement("div");
  ways.className = "banner-ways";
  const close = quiet(dialog.dataset.close, () => banner.remove());
  if (undo) {
    const back = quiet(dialog.dataset.undo, async () => {
      back.disabled = true;
      const body = new FormData();
      body.set("revision", undo.revision);
      for (const name of ["csrfmiddlewaretoken", dialog.querySelector("[data-one-time]").name])
        body.set(name, dialog.querySelector(`input[name="${CSS.escape(name)}"]`).value);
      const { ok, told } = await send(undo.url, body);
      text.textContent = told?.said ?? dialog.dataset.failed;
      if (ok) {
        back.remove();
        readAgain();
      } else back.disabled = false;
    });
    back.className = "btn btn-outline btn-sm";
    ways.append(back);
  }
  ways.append(close);
  banner.append(text, ways);
  // one way back at a time: the newest
  for (const older of notices.querySelectorAll("[data-way-back]")) older.remove();
  banner.dataset.wayBack = "";
  notices.append(banner);
}

function quiet(word, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-quiet btn-sm";
  button.textContent = word;
  button.addEventListener("click", act);
  return button;
}
