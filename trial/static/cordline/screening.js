// Screening by keyboard: y, n, u answer a criterion and go on; arrows move between criteria, the one down also from
// what the checks look at to the first that is open; Enter goes to the next field; = repeats the day above.
// The server decides everything; without this file the same form works.

const form = document.getElementById("screening");
const answers = { y: "yes", n: "no", u: "unknown" };

const questions = () => [...form.querySelectorAll(".question")];
const chosen = (question) => question.querySelector("input[type=radio]:checked") ?? question.querySelector("input[type=radio]");

const go = (question, by) => {
  const all = questions();
  const next = all[all.indexOf(question) + by];
  if (next) chosen(next).focus();
  return Boolean(next);
};

// the criteria are reached where the work is: at the first one that nobody answered
const toCriteria = () => {
  const all = questions();
  chosen(all.find((question) => !["yes", "no"].includes(chosen(question).value)) ?? all[0])?.focus();
};

const toDay = () => {
  const day = form.querySelector("#id_screened_on");
  day.focus();
  day.select();
};

const fields = () =>
  [...form.querySelectorAll(".fact input, .fact select, .question input, #id_screened_on")].filter(
    (field) =>
      field.getClientRects().length > 0 && (field.type !== "radio" || field === chosen(field.closest(".question"))),
  );

const repeatDay = (field) => {
  const days = [...form.querySelectorAll(".fact-day")];
  const above = days.slice(0, days.indexOf(field)).reverse().find((other) => other.value.trim());
  if (!above) return false;
  field.value = above.value;
  field.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
};

// a new screening is typed from its first field on; what was refused is shown first by the forms' own rule
if (!document.activeElement || document.activeElement === document.body) {
  const empty = fields().find((field) => field.type !== "radio" && !field.value);
  if (!form.querySelector("[aria-invalid], .is-invalid, .is-wrong")) empty?.focus({ preventScroll: true });
}

form.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target;
  const question = field.closest(".question");
  const answer = answers[event.key.toLowerCase()];
  if (field.type === "radio" && question && answer) {
    const radio = question.querySelector(`input[type=radio][value="${answer}"]`);
    radio.checked = true;
    radio.focus();
    radio.dispatchEvent(new Event("change", { bubbles: true }));
    if (!go(question, 1)) toDay();
    event.preventDefault();
    event.stopPropagation();
  } else if (field.type === "radio" && question && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    go(question, event.key === "ArrowDown" ? 1 : -1);
    event.preventDefault();
  } else if (event.key === "ArrowDown" && field.matches(".fact input:not([type=checkbox])")) {
    toCriteria();
    event.preventDefault();
  } else if (event.key === "Enter" && !field.matches("button, textarea, [type=submit]")) {
    const all = fields();
    const next = all[all.indexOf(field) + (event.shiftKey ? -1 : 1)];
    next?.focus();
    if (next?.select) next.select();
    event.preventDefault();
  } else if (event.key === "=" && field.matches(".fact-day") && !field.value && repeatDay(field)) {
    event.preventDefault();
  }
});
