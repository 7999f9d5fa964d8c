// Every form with data-draft="place key": what is typed is kept on the server field by field, comes back when
// the page is opened again, and a save that meets a cut network, a stopped server or an ended session keeps the
// page as it stands and can be sent again with the same one-time key. Nothing lies in the browser's storage.
//
//   data-draft          which form of which record: "visit:GE-001:4"
//   data-draft-state    on the form, set here: whether anything typed is still on its way
//   data-ordinary       on the form: it is answered with a page, shown once; the browser itself sends it
//   data-draft-status   where "Draft saved 10:41:58 on the server" stands; made when there is none
//   data-no-draft       on a field or around fields: never leaves the page before the save
// A form hears draft-restored when its fields were filled from a draft.

const dialog = document.getElementById("sign-in-again");
const words = dialog?.dataset ?? {};
const notices = document.getElementById("notices");

const AT_MOST_EVERY = 2000;
const TRY_AGAIN_AFTER = 4000;
const GIVE_UP_AFTER = 30_000;
// what a front says for a server that did not answer it
const LOST = new Set([502, 504]);

// these say what the draft was typed against, and which submission it is
const TOKENS = /^(version|submission_key)/;
const IGNORED_TYPES = new Set(["password", "file", "submit", "button", "image", "reset"]);

const isKept = (control) =>
  control.name &&
  !IGNORED_TYPES.has(control.type) &&
  control.autocomplete !== "one-time-code" &&
  (control.type !== "hidden" || TOKENS.test(control.name)) &&
  !control.closest("[data-no-draft]");

const isToken = (name) => TOKENS.test(name);

const same = (one, other) => one?.length === other?.length && one.every((value, i) => value === other[i]);

const clockOf = (draft) => `${draft.day} ${draft.clock.slice(0, 5)}`.trim();

const post = (address, body, options = {}) =>
  fetch(address, {
    method: "POST",
    credentials: "same-origin",
    cache: "no-store",
    headers: {
      "Content-Type": "application/x-www-form-urlencoded",
      Accept: "application/json",
      "X-Person": words.person,
      ...options.headers,
    },
    body,
    ...(options.keepalive ? { keepalive: true } : { signal: AbortSignal.timeout(GIVE_UP_AFTER) }),
  });

const banner = (kind, bold, text = "") => {
  const made = document.createElement("div");
  made.className = `banner banner-${kind}`;
  const message = document.createElement("div");
  message.className = "banner-text";
  const strong = document.createElement("strong");
  strong.textContent = bold;
  message.append(strong, text ? ` ${text}` : "");
  const ways = document.createElement("div");
  ways.className = "banner-ways";
  made.append(message, ways);
  const way = (label, look, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `btn ${look} btn-sm`;
    button.textContent = label;
    button.addEventListener("click", act);
    ways.append(button);
    return button;
  };
  return { made, message, way };
};

class Draft {
  constructor(form) {
    this.form = form;
    this.place = form.dataset.draft;
    this.status = form.querySelector("[data-draft-status]") ?? this.#makeStatus();
    this.known = this.read();
    this.first = new Map(this.known);
    this.timer = null;
    this.sending = null;
    this.saved = false;
    this.left = this.ended = false;
    this.asOrdinary = false;
    this.submitting = false;
    this.notice = null;
    this.state = "asking";
    this.#nameThePlace();
    this.#listen();
    this.restore().finally(() => {
      if (this.state === "asking") this.state = this.changed() ? "saving" : "saved";
    });
  }

  #makeStatus() {
    const made = document.createElement("p");
    made.className = "draft-status";
    const feet = this.form.querySelectorAll(".save-state, .sheet-foot");
    const foot = [...feet].find((one) => one.matches(".save-state")) ?? feet[feet.length - 1];
    if (foot?.matches(".save-state")) foot.after(made);
    else if (foot) foot.append(made);
    else this.form.append(made);
    return made;
  }

  // the save carries the place, so that the server throws the draft away in the same breath
  #nameThePlace() {
    if (this.form.querySelector("input[name=draft]")) return;
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = "draft";
    field.value = this.place;
    this.form.append(field);
  }

  #listen() {
    const { form } = this;
    form.addEventListener("input", () => this.soon());
    form.addEventListener("click", () => this.soon());
    form.addEventListener("change", () => this.flush());
    form.addEventListener("focusout", () => this.flush());
    addEventListener("pagehide", () => this.leave());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.flush();
    });
    addEventListener("online", () => this.flush());
    document.addEventListener("session-ended", () => {
      this.ended = true;
      this.state = "ended";
    });
    document.addEventListener("session-renewed", () => {
      this.ended = false;
      this.flush();
    });
    // after the page's own listeners, any of which may refuse the submit
    document.addEventListener("submit", (event) => {
      if (event.target === form) this.submit(event);
    });
  }

  // --- reading and filling the fields -----------------------------------------------------------

  controls() {
    return [...this.form.elements].filter((control) => "name" in control && isKept(control));
  }

  read() {
    const found = new Map();
    for (const control of this.controls()) {
      const values = found.get(control.name) ?? [];
      found.set(control.name, values);
      if (control.type === "checkbox" || control.type === "radio") {
        if (control.checked) values.push(control.value);
      } else if (control.type === "select-multiple")
        values.push(...[...control.selectedOptions].map((option) => option.value));
      else values.push(control.value);
    }
    return found;
  }

  // returns the controls that changed
  fill(fields) {
    const filled = [];
    const left = new Map(Object.entries(fields).map(([name, values]) => [name, [...values]]));
    for (const control of this.controls()) {
      const values = left.get(control.name);
      if (!values) continue;
      if (control.type === "checkbox" || control.type === "radio") {
        const ticked = values.includes(control.value);
        if (control.checked === ticked) continue;
        control.checked = ticked;
      } else if (control.type === "select-multiple") {
        for (const option of control.options) option.selected = values.includes(option.value);
      } else {
        const value = values.shift() ?? "";
        if (control.value === value) continue;
        control.value = value;
      }
      filled.push(control);
    }
    return filled;
  }

  // --- sending what changed -----------------------------------------------------------------------

  changed() {
    const now = this.read();
    const fields = {};
    let typed = false;
    for (const [name, values] of now)
      if (!same(values, this.known.get(name)) && !isToken(name)) {
        fields[name] = values;
        typed = true;
      }
    if (!typed) return null;
    for (const [name, values] of now) if (isToken(name)) fields[name] = values;
    return fields;
  }

  body(fields) {
    return new URLSearchParams({
      csrfmiddlewaretoken: this.form.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "",
      place: this.place,
      path: location.pathname,
      title: document.querySelector("h1")?.textContent.trim().replace(/\s+/g, " ") ?? "",
      fields: JSON.stringify(fields),
    });
  }

  // on the form for everybody to see: asking (for what was kept), saved (nothing is on its way), saving,
  // offline (it is tried again), ended (the session is)
  set state(state) {
    this.form.dataset.draftState = state;
  }

  get state() {
    return this.form.dataset.draftState;
  }

  soon(milliseconds = AT_MOST_EVERY) {
    if (this.state === "saved") this.state = "saving";
    this.timer ??= setTimeout(() => this.flush(), milliseconds);
  }

  async flush() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.sending || this.saved || this.submitting || this.discarding || this.ended) return this.sending;
    const fields = this.changed();
    if (!fields) {
      this.state = "saved";
      return undefined;
    }
    if (this.state === "saved") this.state = "saving";
    this.sending = this.#send(fields).finally(() => {
      this.sending = null;
    });
    await this.sending;
    if (this.changed() && !this.timer && !this.ended) this.soon();
    return undefined;
  }

  async #send(fields) {
    let answer;
    try {
      answer = await post(words.draftUrl, this.body(fields));
    } catch {
      this.wait();
      return;
    }
    if (answer.status === 401) {
      document.dispatchEvent(new CustomEvent("session-ended"));
    } else if (answer.status === 403 && (await renewToken())) {
      this.soon(0);
    } else if (answer.ok) {
      const { draft } = await answer.json();
      for (const [name, values] of Object.entries(fields)) this.known.set(name, values);
      this.state = this.changed() ? "saving" : "saved";
      this.say(`${words.saved} ${draft.clock}`, words.onServer);
    } else this.wait();
  }

  wait() {
    this.state = "offline";
    this.say(words.waiting, words.waitingNote, true);
    this.soon(TRY_AGAIN_AFTER);
  }

  say(bold, text, isWaiting = false) {
    const strong = document.createElement("strong");
    strong.textContent = bold;
    this.status.classList.toggle("is-waiting", isWaiting);
    this.status.replaceChildren(strong, ` ${text}`);
  }

  leave() {
    if (this.saved || this.left || this.ended) return;
    const fields = this.changed();
    if (fields) post(words.draftUrl, this.body(fields), { keepalive: true }).catch(() => {});
  }

  // --- coming back --------------------------------------------------------------------------------

  async restore() {
    let kept;
    try {
      const query = new URLSearchParams({ place: this.place });
      const answer = await fetch(`${words.draftUrl}?${query}`, {
        credentials: "same-origin",
        cache: "no-store",
        headers: { Accept: "application/json", "X-Background": "1", "X-Person": words.person },
      });
      if (!answer.ok) return;
      kept = (await answer.json()).draft;
    } catch {
      return;
    }
    if (!kept) return;
    const now = this.read();
    const typed = Object.entries(kept.fields).filter(([name]) => !isToken(name));
    const homeless = typed.filter(([name, values]) => !now.has(name) && values.some((value) => value));
    // what was typed while this was asked is newer than the draft
    const mine = new Set([...now].filter(([name, values]) => !same(values, this.first.get(name))).map(([name]) => name));
    const differing = typed.filter(([name, values]) => now.has(name) && !mine.has(name) && !same(values, now.get(name)));
    if (!differing.length && !homeless.length) {
      // opened afresh, the page has it all: it was saved, or typed back to what is stored
      if (words.method === "GET" && !mine.size) this.throwAway().catch(() => {});
      return;
    }
    const tokens = Object.entries(kept.fields).filter(([name]) => isToken(name));
    const before = this.read();
    const filled = this.fill(Object.fromEntries([...differing, ...tokens])).filter((one) => one.type !== "hidden");
    for (const [name, values] of typed) this.known.set(name, values);
    this.#tell(kept, homeless, before);
    this.#announce(filled);
  }

  // the page's own scripts look at the fields again
  #announce(filled) {
    const choices = filled.filter((one) => one.matches("select, [type=radio]:checked, [type=checkbox]"));
    const texts = filled.filter((one) => !one.matches("select, [type=radio], [type=checkbox]"));
    for (const one of [...choices, ...texts.slice(-1)]) one.dispatchEvent(new Event("change", { bubbles: true }));
    this.form.dispatchEvent(new CustomEvent("draft-restored", { bubbles: true }));
  }

  #tell(kept, homeless, before) {
    const told = banner("note", words.restored.replace("%s", clockOf(kept)));
    told.made.setAttribute("role", "status");
    if (homeless.length) {
      const list = document.createElement("ul");
      list.className = "draft-lost";
      for (const [name, values] of homeless) {
        const line = document.createElement("li");
        line.textContent = `${name}: ${values.join(", ")}`;
        list.append(line);
      }
      told.message.append(` ${words.noPlace}`, list);
    }
    told.way(words.keep, "btn-outline", () => told.made.remove());
    told.way(words.discard, "btn-quiet", () => this.discard(told, before));
    this.form.before(told.made);
  }

  throwAway() {
    const body = this.body({});
    body.set("discard", "1");
    return post(words.draftUrl, body);
  }

  async discard(told, before) {
    // what is on its way to the server would bring the draft back after it was thrown away
    this.discarding = true;
    clearTimeout(this.timer);
    this.timer = null;
    try {
      await this.sending;
      const answer = await this.throwAway();
      if (answer.status === 401) {
        document.dispatchEvent(new CustomEvent("session-ended"));
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
    } catch {
      this.say(words.waiting, words.waitingNote, true);
      return;
    } finally {
      this.discarding = false;
    }
    // what the page's own scripts make of the fields as they were is nobody's typing either
    this.discarding = true;
    this.#announce(this.fill(Object.fromEntries(before)).filter((one) => one.type !== "hidden"));
    this.known = this.read();
    this.discarding = false;
    told.made.remove();
    this.status.replaceChildren();
  }

  // --- saving -------------------------------------------------------------------------------------

  submit(event) {
    if (event.defaultPrevented) return;
    const { form } = this;
    const { submitter } = event;
    const method = (submitter?.getAttribute("formmethod") ?? form.getAttribute("method") ?? "get").toLowerCase();
    const isOrdinary = this.asOrdinary || form.hasAttribute("data-ordinary") || form.querySelector("input[type=password], input[type=file]");
    if (method !== "post" || isOrdinary || submitter?.getAttribute("formtarget")) {
      this.submitting = this.left = true;
      return;
    }
    event.preventDefault();
    // once it is saved, the page only waits for the next one, which has the words about it
    if (!this.submitting && !this.saved) this.save(submitter);
  }

  async save(submitter, { again = false } = {}) {
    const { form } = this;
    this.submitting = true;
    this.notice?.made.remove();
    this.notice = null;
    clearTimeout(this.timer);
    this.timer = null;
    form.setAttribute("aria-busy", "true");
    // a draft that arrives after its save would come back from the dead
    await this.sending;
    const address = submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? location.href;
    const body = new URLSearchParams(new FormData(form));
    if (submitter?.name) body.append(submitter.name, submitter.value);
    let answer = null;
    try {
      answer = await post(address || location.href, body, { headers: { "X-Form": "1", Accept: "text/html" } });
    } catch {
      // below
    }
    form.removeAttribute("aria-busy");
    this.submitting = false;
    // what was sent may have been saved, and only its answer lost
    if (!answer || LOST.has(answer.status)) this.keep(navigator.onLine ? words.notKnown : words.notSaved, submitter);
    else if (answer.headers.has("X-Location")) this.go(answer.headers.get("X-Location"));
    else if (answer.status === 401) {
      const then = () => this.save(submitter, { again });
      document.dispatchEvent(new CustomEvent("session-ended", { detail: { then } }));
    } else if (answer.status === 403 && !again && (await renewToken())) this.save(submitter, { again: true });
    else if (answer.status >= 500 || answer.status === 429) this.keep(words.notAnswered, submitter);
    else await this.showRefusal(submitter);
  }

  go(address) {
    this.saved = true;
    announceSaved(this.form);
    const target = new URL(address, location.href);
    if (target.hash && target.href.split("#")[0] === location.href.split("#")[0]) {
      location.hash = target.hash;
      location.reload();
    } else location.assign(target.href);
  }

  keep(bold, submitter) {
    this.notice = banner("danger", bold, words.notSavedNote);
    this.notice.way(words.saveAgain, "btn-primary", () => this.form.requestSubmit(submitter ?? undefined));
    notices.append(this.notice.made);
    if (this.changed()) this.wait();
  }

  // nothing was saved: the browser itself sends the form and shows the page that says why, with its focus and scripts
  async showRefusal(submitter) {
    await this.flush();
    this.asOrdinary = true;
    this.form.requestSubmit(submitter ?? undefined);
    this.asOrdinary = false;
  }
}

// a page that asks before it is left has nothing to ask any more
const announceSaved = (form) => form.dispatchEvent(new CustomEvent("draft-saved", { bubbles: true }));

const renewToken = async () => {
  try {
    const answer = await fetch(words.sessionUrl, {
      credentials: "same-origin",
      cache: "no-store",
      headers: { Accept: "application/json", "X-Person": words.person, "X-Background": "1" },
    });
    if (answer.status === 401) document.dispatchEvent(new CustomEvent("session-ended"));
    if (!answer.ok) return false;
    const { token } = await answer.json();
    for (const field of document.querySelectorAll("input[name=csrfmiddlewaretoken]")) field.value = token;
    document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
    return true;
  } catch {
    return false;
  }
};

if (dialog) for (const form of document.querySelectorAll("form[data-draft]")) new Draft(form);
