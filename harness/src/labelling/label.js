"use strict";

// All text of others goes through textContent; the page's policy forbids everything else.
const main = document.getElementById("main");
const progress = document.getElementById("progress");
const places = document.getElementById("places");
const saved = document.getElementById("saved");
const wanted = new URLSearchParams(location.search).get("rater");

let state = { rater: null, items: [] };
let at = 0;
let question = 0;
let sending = Promise.resolve();

function make(kind, properties, ...children) {
  const element = document.createElement(kind);
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

function isDone(item) {
  return item.questions.every((asked) => item.answers[asked.criterion] !== undefined);
}

function say(text, isBad) {
  saved.textContent = text;
  saved.className = isBad ? "bad" : "";
}

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw new Error(body.error);
  return body;
}

function save(item) {
  const body = JSON.stringify({
    rater: state.rater,
    key: item.key,
    answers: item.answers,
    note: item.note,
  });
  item.unsaved = true;
  say("Saving…");
  // One after another, so that the last word is the one that stays.
  sending = sending.then(async () => {
    try {
      await ask("labels", { method: "POST", headers: { "Content-Type": "application/json" }, body });
      item.unsaved = false;
      say("Saved");
    } catch (error) {
      say(`Not saved: ${error.message}. Is shipworthy label still running?`, true);
    }
  });
}

function showProgress() {
  const done = state.items.filter(isDone).length;
  const all = state.items.length;
  progress.textContent = `${state.rater}: ${done} of ${all} scored` +
    (done === all ? ". That is all; thank you. This page may be closed." : "");
  places.replaceChildren(...state.items.map((item, n) => {
    const button = make("button", { type: "button", textContent: String(n + 1) });
    button.setAttribute("aria-label", `Conversation ${n + 1}${isDone(item) ? ", scored" : ""}`);
    if (isDone(item)) button.className = "done";
    if (n === at) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => go(n));
    return button;
  }));
}

function mark(n, focus, stay) {
  const sets = [...main.querySelectorAll("fieldset")];
  question = Math.max(0, Math.min(n, sets.length - 1));
  sets.forEach((set, i) => set.classList.toggle("current", i === question));
  if (!focus || !sets[question]) return;
  const inputs = [...sets[question].querySelectorAll("input")];
  (inputs.find((input) => input.checked) ?? inputs[0]).focus({ preventScroll: true });
  if (!stay) sets[question].scrollIntoView({ block: "nearest" });
}

function option(item, asked, n, choice, i) {
  const input = make("input", {
    type: "radio",
    name: `question-${n}`,
    value: choice.answer,
    checked: item.answers[asked.criterion] === choice.answer,
  });
  input.addEventListener("change", () => {
    item.answers[asked.criterion] = choice.answer;
    mark(n);
    save(item);
    showProgress();
  });
  const key = choice.answer === "cannot_tell" ? "0" : String(i + 1);
  return make("label", { className: "option" }, input, make("span", { textContent: choice.text }),
    make("kbd", { textContent: key }));
}

function questions(item) {
  const note = make("textarea", { value: item.note, maxLength: 1000 });
  note.addEventListener("change", () => { item.note = note.value; save(item); });
  const last = at === state.items.length - 1;
  const back = make("button", { type: "button", textContent: "Back", disabled: at === 0 });
  const next = make("button", { type: "button", className: "main", textContent: "Next", disabled: last });
  back.addEventListener("click", () => go(at - 1));
  next.addEventListener("click", () => go(at + 1));
  const sets = item.questions.map((asked, n) => {
    const set = make("fieldset", {}, make("legend", { textContent: asked.text }),
      ...asked.options.map((choice, i) => option(item, asked, n, choice, i)));
    set.addEventListener("focusin", () => mark(n));
    return set;
  });
  return make("section", { className: "card questions" },
    make("h2", { textContent: "What do you say of the assistant?" }), ...sets,
    make("label", { className: "note" }, "A note, if you like", note),
    make("div", { className: "row" }, back, next));
}

function transcript(item) {
  const turns = item.turns.map((turn) => make("div", { className: `turn ${turn.who}` },
    make("b", { textContent: turn.who === "person" ? "Person" : "Assistant" }),
    make("div", { textContent: turn.text, dir: "auto" })));
  return make("section", { className: "card" },
    make("h2", { textContent: `Conversation ${at + 1} of ${state.items.length}` }), ...turns);
}

function go(n) {
  at = Math.max(0, Math.min(n, state.items.length - 1));
  const item = state.items[at];
  main.replaceChildren(make("div", { className: "sides" }, transcript(item), questions(item)));
  showProgress();
  scrollTo(0, 0);
  const open = item.questions.findIndex((asked) => item.answers[asked.criterion] === undefined);
  // The conversation is read first: where questions stand below it, nothing scrolls past it.
  mark(Math.max(open, 0), true, true);
}

function askForName() {
  const name = make("input", { type: "text", maxLength: 60, autocomplete: "name", id: "name" });
  const form = make("form", { className: "card name" },
    make("h2", { textContent: "Who are you?" }),
    make("p", { textContent: "Your name stands beside your scores. The conversations come in an order of your own, " +
      "and nothing here says which model spoke." }),
    make("label", { className: "note" }, "Name", name),
    make("div", { className: "row" }, make("span"), make("button", { className: "main", textContent: "Begin" })));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (name.value.trim()) location.search = new URLSearchParams({ rater: name.value.trim() }).toString();
  });
  main.replaceChildren(form);
  name.focus();
}

addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || !state.items.length) return;
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement && target.type === "text") return;
  const sets = [...main.querySelectorAll("fieldset")];
  if (event.key === "Enter" && !(target instanceof HTMLButtonElement)) {
    event.preventDefault();
    go(at + 1);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    mark(question + (event.key === "ArrowDown" ? 1 : -1), true);
  } else if (/^[0-9]$/.test(event.key)) {
    const inputs = [...sets[question].querySelectorAll("input")];
    const n = Number(event.key);
    const input = n === 0 ? inputs[inputs.length - 1] : inputs[n - 1];
    if (!input || (n !== 0 && input.value === "cannot_tell")) return;
    event.preventDefault();
    input.click();
    if (question < sets.length - 1) mark(question + 1, true);
  }
});

addEventListener("beforeunload", (event) => {
  if (state.items.some((item) => item.unsaved)) event.preventDefault();
});

ask(`items?${new URLSearchParams(wanted === null ? {} : { rater: wanted })}`).then((found) => {
  state = found;
  if (state.rater === null) return askForName();
  const open = state.items.findIndex((item) => !isDone(item));
  go(open < 0 ? 0 : open);
}).catch((error) => {
  main.replaceChildren(make("p", { className: "bad", textContent: `This page cannot be shown: ${error.message}` }));
});
