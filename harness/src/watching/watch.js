"use strict";

// All text of others goes through textContent; the page's policy forbids everything else.
const find = (id) => document.getElementById(id);
const viewer = crypto.randomUUID();
const MOST_SHOWN = 200;

const talks = [];
let revision = 0;
let chosen = null;
let tries = 0;

function make(kind, properties, ...children) {
  const element = document.createElement(kind);
  Object.assign(element, properties);
  element.append(...children);
  return element;
}

function time(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function showState(state) {
  const [done, all] = state.steps;
  const parts = [`${done} of ${all} scored`, time(state.elapsed),
    state.left === null ? "time left unknown" : `${time(state.left)} left`];
  if (state.money !== null) parts.push(state.money);
  for (const server of state.away) parts.push(`waiting for ${server}`);
  find("headline").textContent = parts.join(" · ");
  find("run").textContent = state.run === null ? "" : `Run ${state.run}`;
  find("bar").max = Math.max(all, 1);
  find("bar").value = done;
  find("speakers").replaceChildren(...state.speakers.map((speaker) => {
    const isModel = speaker.role === "model";
    const rate = state.elapsed >= 1 && speaker.tokens ? Math.round(speaker.tokens / state.elapsed) : "";
    const cells = [speaker.role === "simulator" ? "people" : speaker.role,
      isModel ? `${speaker.held}/${state.planned}` : "", isModel ? speaker.failed : "", isModel ? speaker.scored : "",
      speaker.mean === null ? "" : speaker.mean.toFixed(2), speaker.calls, speaker.retries, rate,
      speaker.places ? `${speaker.places.in_use}/${speaker.places.limit}` : ""];
    const name = make("th", { scope: "row", textContent: speaker.model, dir: "auto" });
    return make("tr", {}, name, ...cells.map((cell) => make("td", { textContent: String(cell) })));
  }));
  find("faults").hidden = state.n_faults === 0;
  find("faults-title").textContent = `Faults that calls were repeated for: ${state.n_faults}`;
  find("fault-list").replaceChildren(...state.faults.map((fault) =>
    make("li", {}, make("b", { textContent: fault.of, dir: "auto" }), ` ${fault.error}`)));
}

function takeTalks(changed) {
  for (const talk of changed) talks[talk.place] = talk;
  if (changed.length) showTalks();
  // Its scores may have come.
  if (changed.some((talk) => talk.place === chosen)) choose(chosen);
}

function score(talk) {
  if (!talk.is_scored) return "not scored yet";
  return talk.overall === null ? "no score" : talk.overall.toFixed(2);
}

function showTalks() {
  const wanted = find("search").value.toLowerCase();
  const matches = [];
  for (let place = talks.length - 1; place >= 0; place--) {
    const talk = talks[place];
    const text = `${talk.model} ${talk.persona} ${talk.termination}`.toLowerCase();
    if (text.includes(wanted)) matches.push([place, talk]);
  }
  const focused = document.activeElement?.dataset?.place;
  find("talks").replaceChildren(...matches.slice(0, MOST_SHOWN).map(([place, talk]) => {
    const button = make("button", { type: "button", className: talk.failed ? "failed" : "" },
      make("b", { textContent: talk.model, dir: "auto" }),
      make("span", { textContent: `${talk.persona} #${talk.repeat}`, dir: "auto" }),
      make("span", { textContent: talk.failed ? `failed: ${talk.termination}` : talk.termination }),
      make("span", { className: "score", textContent: score(talk) }));
    button.dataset.place = place;
    if (place === chosen) button.setAttribute("aria-current", "true");
    button.addEventListener("click", async () => {
      await choose(place);
      if (innerWidth < 768) find("talk").scrollIntoView();
    });
    return button;
  }));
  if (focused !== undefined) find("talks").querySelector(`[data-place="${focused}"]`)?.focus({ preventScroll: true });
  find("talks-title").textContent = `Conversations that ended: ${talks.length}`;
  const hidden = matches.length - MOST_SHOWN;
  find("more").textContent = hidden > 0 ? `The latest ${MOST_SHOWN}; ${hidden} more match.` : "";
}

async function choose(place) {
  chosen = place;
  showTalks();
  const talk = talks[place];
  const title = make("h2", { textContent: `${talk.model}, ${talk.persona} #${talk.repeat}`, dir: "auto" });
  try {
    const response = await fetch(`conversation?place=${place}`);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const said = await response.json();
    if (chosen !== place) return;
    const turns = said.turns.map((turn) => make("div", { className: `turn ${turn.role}` },
      make("b", { textContent: turn.role === "user" ? "Person" : turn.role === "assistant" ? "Model" : "System" }),
      make("div", { textContent: turn.text, dir: "auto" })));
    const end = make("p", { className: "faint", textContent: [`Ended: ${said.termination}`, said.detail].filter(Boolean).join("; ") });
    const criteria = said.criteria.map((it) => make("li", {},
      make("b", { textContent: `${it.criterion}: ${it.score === null ? "no score" : it.score.toFixed(2)}` }), ` ${it.reason}`));
    find("talk").replaceChildren(title, ...turns, end, make("ul", {}, ...criteria));
  } catch (error) {
    find("talk").replaceChildren(title, make("p", { className: "bad", textContent: `It cannot be shown: ${error.message}` }));
  }
}

async function poll() {
  try {
    const response = await fetch(`state?viewer=${viewer}&after=${revision}`);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const state = await response.json();
    tries = 0;
    revision = state.revision;
    showState(state);
    takeTalks(state.conversations);
    if (state.end?.has_report) return location.replace(`report?viewer=${viewer}`);
    if (state.end) {
      document.title = find("headline").textContent = `The run ended: ${state.end.text}`;
      find("headline").className = "bad";
      return;
    }
  } catch {
    tries += 1;
    if (tries >= 5) {
      find("headline").textContent = "shipworthy eval does not answer any more; what is shown is the last that was heard.";
      find("headline").className = "bad";
      return;
    }
  }
  setTimeout(poll, 1000);
}

find("search").addEventListener("input", showTalks);
poll();
