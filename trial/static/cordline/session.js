// The session of this page: a warning before it ends, a cover over the page when it has, and signing in
// again in place. What was typed stays in its fields all the while; nothing is kept in the browser's storage.
//
// Others tell this file with events on document:
//   session-ended   detail.then   is called when the same person is signed in again
// and hear from it:
//   session-renewed

const dialog = document.getElementById("sign-in-again");
const words = dialog?.dataset ?? {};
const root = document.documentElement;
const person = words.person;

const waiting = [];
let lastHeard = Date.now();
let reached = 0;
let shownTitle = "";
let focused = null;
let scrolled = 0;
let warning = null;

const ask = (address, options = {}) =>
  fetch(address, { credentials: "same-origin", cache: "no-store", ...options });

// --- nothing left behind --------------------------------------------------------------------------

// htmx writes down the address of the page; on a ward's computer it names a subject to whoever comes next
const forgetAddress = () => sessionStorage.removeItem("htmx-current-path-for-history");
forgetAddress();
for (const kind of ["htmx:pushedIntoHistory", "htmx:replacedInHistory", "htmx:historyRestore"])
  document.addEventListener(kind, forgetAddress);
addEventListener("pagehide", forgetAddress);

// --- the state, as the server has it --------------------------------------------------------------

// looking is not doing: only a person's own doing keeps a session alive
const state = async ({ looking }) => {
  const headers = { Accept: "application/json", "X-Person": person };
  if (looking) headers["X-Background"] = "1";
  const answer = await ask(words.sessionUrl, { headers });
  if (answer.status === 401) return null;
  if (!answer.ok) throw new Error(String(answer.status));
  lastHeard = Date.now();
  return answer.json();
};

const renewToken = (token) => {
  for (const field of document.querySelectorAll("input[name=csrfmiddlewaretoken]")) field.value = token;
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
};

// --- the cover ------------------------------------------------------------------------------------

const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
const isLocked = () => root.classList.contains("is-locked");

const lock = (why) => {
  if (isLocked()) return;
  warning?.remove();
  warning = null;
  for (const open of document.querySelectorAll("dialog[open]")) open.close();
  focused = document.activeElement;
  scrolled = scrollY;
  shownTitle = document.title;
  document.title = words.lockedTitle;
  part("why").textContent = why;
  part("password-step").hidden = false;
  part("code-step").hidden = true;
  part("problem").textContent = "";
  root.classList.add("is-locked");
  dialog.showModal();
  part("password").focus();
};

const open = (token) => {
  renewToken(token);
  part("password").value = part("code").value = "";
  root.classList.remove("is-locked");
  dialog.close();
  document.title = shownTitle;
  scrollTo(0, scrolled);
  focused?.focus?.({ preventScroll: true });
  lastHeard = reached = Date.now();
  plan(Number(words.idle));
  document.dispatchEvent(new CustomEvent("session-renewed"));
  for (const then of waiting.splice(0)) then();
};

const problem = (text) => {
  part("problem").textContent = text;
};

// --- signing in, with the login's own forms -------------------------------------------------------

const tokenOf = (page) =>
  new DOMParser().parseFromString(page, "text/html").querySelector("main input[name=csrfmiddlewaretoken]")?.value;

const isOpenAgain = async () => {
  const now = await state({ looking: false });
  if (!now) return false;
  open(now.token);
  return true;
};

const send = async (address, fields, headers = {}) => {
  const form = await ask(address);
  const token = form.ok && !form.redirected ? tokenOf(await form.text()) : null;
  if (!token) return null;
  return ask(address, {
    method: "POST",
    redirect: "manual",
    headers: { "Content-Type": "application/x-www-form-urlencoded", ...headers },
    body: new URLSearchParams({ csrfmiddlewaretoken: token, ...fields }),
  });
};

const withPassword = async () => {
  const fields = { login: words.username, password: part("password").value };
  const answer = await send(words.loginUrl, fields, { "X-Requested-With": "XMLHttpRequest" });
  // no form to send: somebody is signed in already, perhaps the same person in another tab
  if (!answer) return (await isOpenAgain()) || problem(words.another);
  if (answer.status === 429) return problem(words.resting);
  if (answer.status === 400) {
    const { form } = await answer.json();
    const said = [form?.errors ?? [], ...Object.values(form?.fields ?? {}).map((field) => field.errors)].flat();
    part("password").select();
    // the login speaks of a name as well, which nobody typed here
    return problem(said.filter((each) => each !== words.mismatch).join(" ") || words.wrong);
  }
  if (!answer.ok) return problem(words.unanswered);
  const { location: next } = await answer.json();
  if (next && new URL(next, location.href).pathname === words.codeUrl) {
    part("password-step").hidden = true;
    part("code-step").hidden = false;
    problem("");
    part("code").focus();
    return;
  }
  if (!(await isOpenAgain())) problem(words.another);
};

const withCode = async () => {
  const answer = await send(words.codeUrl, { code: part("code").value });
  if (await isOpenAgain()) return;
  if (answer?.status === 429) return problem(words.resting);
  if (answer?.ok) {
    part("code").select();
    return problem(words.wrongCode);
  }
  part("password-step").hidden = false;
  part("code-step").hidden = true;
  part("password").focus();
  problem(words.again);
};

let busy = false;
const signIn = async () => {
  if (busy) return;
  busy = true;
  try {
    await (part("code-step").hidden ? withPassword() : withCode());
  } catch {
    problem(words.offline);
  } finally {
    busy = false;
  }
};

// --- time -----------------------------------------------------------------------------------------

const WARN_BEFORE = 120;
const DOING_EVERY = 60_000;
let timer = null;

const plan = (left) => {
  clearTimeout(timer);
  timer = setTimeout(look, Math.max(1, left > WARN_BEFORE ? left - WARN_BEFORE : left) * 1000 + 500);
};

const look = async () => {
  if (isLocked()) return;
  let now;
  try {
    now = await state({ looking: true });
  } catch {
    // nobody to ask: after the idle time the page is covered all the same
    const left = Number(words.idle) - (Date.now() - lastHeard) / 1000;
    if (left <= 0) lock(words.idleEnded);
    else plan(Math.min(left, 30));
    return;
  }
  if (!now) {
    lock(words.idleEnded);
    return;
  }
  plan(now.left);
  if (now.left <= WARN_BEFORE && !warning) warn();
  else if (now.left > WARN_BEFORE) unwarn();
};

const warn = () => {
  warning = document.createElement("div");
  warning.className = "banner banner-warn";
  const text = document.createElement("div");
  text.className = "banner-text";
  text.textContent = words.warning;
  const stay = document.createElement("button");
  stay.type = "button";
  stay.className = "btn btn-outline btn-sm";
  stay.textContent = words.stay;
  stay.addEventListener("click", () => doing(true));
  warning.append(text, stay);
  document.getElementById("notices").append(warning);
};

const unwarn = () => {
  warning?.remove();
  warning = null;
};

const doing = async (surely = false) => {
  if (isLocked() || (!surely && !warning && Date.now() - reached < DOING_EVERY)) return;
  reached = Date.now();
  try {
    const now = await state({ looking: false });
    if (!now) lock(words.ended);
    else {
      unwarn();
      plan(now.left);
    }
  } catch {
    reached = 0;
  }
};

if (dialog) {
  reached = Date.now();
  plan(Number(words.idle));
  for (const kind of ["keydown", "pointerdown", "wheel"])
    document.addEventListener(kind, () => doing(), { passive: true, capture: true });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && Date.now() - lastHeard > DOING_EVERY) look();
  });
  document.addEventListener("session-ended", (event) => {
    if (event.detail?.then) waiting.push(event.detail.then);
    lock(event.detail?.idle ? words.idleEnded : words.ended);
  });
  // a covered page asks for nothing
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isLocked()) event.preventDefault();
  });
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  // the keys of the page are not for the dialog
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") event.preventDefault();
  });
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    signIn();
  });
}
