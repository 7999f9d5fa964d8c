// What a page does when the results move on, the network fails or the session ends.
// Nothing typed is ever thrown away here: every path keeps the page as it stands.

const notices = document.getElementById("notices");
const words = notices?.dataset ?? {};
let lost = null;

const notice = (kind, bold, text = "", { button, stay = false } = {}) => {
  const banner = document.createElement("div");
  banner.className = `banner banner-${kind}`;
  const message = document.createElement("div");
  message.className = "banner-text";
  const strong = document.createElement("strong");
  strong.textContent = bold;
  message.append(strong, text ? ` ${text}` : "");
  banner.append(message);
  const ways = document.createElement("div");
  ways.className = "banner-ways";
  if (button) ways.append(button);
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn btn-quiet btn-sm";
  close.textContent = words.close;
  close.addEventListener("click", () => banner.remove());
  ways.append(close);
  banner.append(ways);
  notices.append(banner);
  if (!stay) setTimeout(() => banner.remove(), 8000);
  return banner;
};

// --- freshness ----------------------------------------------------------------------------------

const isFreshness = (event) => event.detail?.elt?.id === "freshness";

// the oldest results on the page: a section that missed a change is caught up at the next look
const revisionShown = () => {
  const shown = [...document.querySelectorAll("[data-revision]")]
    .map((section) => Number.parseInt(section.dataset.revision, 10))
    .filter(Number.isFinite);
  return shown.length ? Math.min(...shown) : null;
};

document.addEventListener("htmx:configRequest", (event) => {
  if (!isFreshness(event)) return;
  const shown = revisionShown();
  if (shown !== null) event.detail.parameters.shown = shown;
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (isFreshness(event) && document.hidden) event.preventDefault();
});

let told = null;
document.addEventListener("results-changed", (event) => {
  const revision = event.detail?.revision ?? event.detail?.value;
  if (!revision || revision === told) return;
  told = revision;
  if (document.querySelector("[data-revision]"))
    notice("note", `${words.updated} ${Number(revision).toLocaleString("en")}`);
});

// paper says which results it holds, who printed it and when
addEventListener("beforeprint", () => {
  const line = document.querySelector("[data-printed]");
  if (!line) return;
  line.dataset.person ??= line.textContent.trim();
  const state = document.getElementById("freshness")?.innerText.trim() ?? "";
  // in the time of the site, whatever the clock of this machine is set to; Swedes write the year first
  const now = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "short", timeZone: line.dataset.zone || undefined }).format();
  const printed = `${line.dataset.printed} ${now}`;
  line.textContent = [state, printed, line.dataset.person].filter(Boolean).join(" · ");
});

// --- the network --------------------------------------------------------------------------------

document.addEventListener("htmx:sendError", (event) => {
  if (lost) return;
  const again = document.createElement("button");
  again.type = "button";
  again.className = "btn btn-outline btn-sm";
  again.textContent = words.retry;
  const { elt, requestConfig } = event.detail;
  again.addEventListener("click", () => {
    if (requestConfig?.verb === "get" || !elt?.isConnected) window.htmx.trigger("#freshness", "load");
    else (elt.closest("form") ?? elt).requestSubmit?.();
  });
  lost = notice("warn", words.lost, words.lostNote, { button: again, stay: true });
});

document.addEventListener("htmx:afterOnLoad", () => {
  if (!lost) return;
  lost.remove();
  lost = null;
  notice("note", words.back);
});

// --- the session --------------------------------------------------------------------------------

const sessionEnded = (xhr) =>
  xhr.status === 401 || (xhr.responseURL && new URL(xhr.responseURL).pathname === words.loginUrl);

document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr } = event.detail;
  if (sessionEnded(xhr)) {
    // leaving for the login page would lose what stands in the fields
    event.preventDefault();
    document.dispatchEvent(new CustomEvent("session-ended"));
  }
});

document.addEventListener("htmx:responseError", (event) => {
  if (sessionEnded(event.detail.xhr) || isFreshness(event)) return;
  notice("danger", words.failed, words.failedNote, { stay: true });
});
