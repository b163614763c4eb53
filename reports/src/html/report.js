// Sorts tables, and shows conversations on demand. Every text from the data becomes a text node: no
// markup is ever made of it.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);

  // What is invisible and changes how other text reads is shown, as everywhere in the report.
  const UNSAFE = new RegExp(
    "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u180e\\u200b\\u200e" +
      "\\u200f\\u202a-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}]", "gu");
  const visible = (text) => text.replaceAll("\r\n", "\n").replace(UNSAFE, (c) =>
    String.fromCodePoint(60) + "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + ">");

  function element(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  // Tables

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.tagName !== "TH") return;
      const button = element("button", { type: "button", class: "sort" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, heads, column));
    });
  }

  function sort(table, heads, column) {
    const head = heads[column];
    const isNumber = head.classList.contains("number");
    const first = isNumber ? "descending" : "ascending";
    const other = isNumber ? "ascending" : "descending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    for (const one of heads) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const value = (row) => {
      const cell = row.cells[column];
      if (!isNumber) return cell.textContent;
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      // What has no number stands last either way.
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (isNumber ? x - y : x.localeCompare(y, "en", { numeric: true }));
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }

  for (const table of document.querySelectorAll("table.sortable")) sortable(table);

  // Conversations: the data is read when somebody wants it, or when the browser has time.

  const PAGE = 100;
  const LONG = 6000;
  const form = byId("filters");
  const FILTERS = ["q", "with", "result", "end", "criterion", "sort", "flag"];
  let data = null;
  let talks = [];
  let shown = [];
  let limit = PAGE;
  let current = null;

  function load() {
    if (data) return;
    const read = JSON.parse(byId("data").textContent);
    data = { ...read.outline, conversations: read.conversations };
    const places = new Map();
    for (const conversation of data.conversations) {
      if (typeof conversation.persona === "number") {
        conversation.persona = data.personas[conversation.persona];
      } else {
        conversation.persona = { id: conversation.persona, levels: {}, situation: "", goal: "" };
      }
      const key = JSON.stringify([conversation.persona.id, conversation.repeat]);
      if (!places.has(key)) {
        const talk = { persona: conversation.persona, repeat: conversation.repeat, arms: new Map() };
        places.set(key, talk);
        talks.push(talk);
      }
      places.get(key).arms.set(conversation.model, conversation);
    }
    const order = new Map(data.personas.map((persona, idx) => [persona.id, idx]));
    talks.sort((a, b) => order.get(a.persona.id) - order.get(b.persona.id) || a.repeat - b.repeat);
    form.hidden = false;
  }

  // What is looked at is in the address, so that it can be passed on.

  const addressed = () => {
    const hash = location.hash.slice(1);
    return hash.includes("=") ? new URLSearchParams(hash) : null;
  };

  function filters() {
    const values = new URLSearchParams();
    for (const name of FILTERS) {
      const field = form.elements[name];
      if (!field) continue;
      if (field.type === "checkbox") {
        if (field.checked) values.set(name, "1");
      } else if (field.value && !(name === "with" && field.value === data.with)) {
        values.set(name, field.value);
      }
    }
    return values;
  }

  function address(talk) {
    const values = filters();
    if (talk) {
      values.set("persona", talk.persona.id);
      values.set("repeat", talk.repeat);
    }
    return "#" + values.toString();
  }

  const candidateName = () => form.elements.with?.value || data.with;

  function takeAddress(values) {
    for (const name of FILTERS) {
      const field = form.elements[name];
      if (!field) continue;
      const value = values.get(name) ?? "";
      if (field.type === "checkbox") field.checked = value === "1";
      else if (name === "with") field.value = value || data.with;
      else field.value = value;
      // A value that is no option leaves nothing chosen.
      if (field.selectedIndex === -1) field.selectedIndex = 0;
    }
  }

  // Filters

  function difference(talk) {
    const [before, after] = [talk.arms.get(data.baseline)?.score, talk.arms.get(candidateName())?.score];
    return before === undefined || after === undefined ? null : after - before;
  }

  function haystack(talk) {
    const parts = [talk.persona.id, ...Object.values(talk.persona.levels)];
    for (const conversation of [talk.arms.get(data.baseline), talk.arms.get(candidateName())]) {
      if (!conversation) continue;
      parts.push(conversation.end, conversation.detail ?? "", conversation.unscored ?? "");
      parts.push(...conversation.turns.map((turn) => turn.text), ...(conversation.flags ?? []));
      for (const criterion of conversation.criteria ?? []) {
        if (criterion) parts.push(criterion.reason ?? "", ...(criterion.grades ?? []).map((grade) => grade.reason));
      }
    }
    return parts.join("\n").toLowerCase();
  }

  function contains(talk, words) {
    const name = candidateName();
    if (talk.textOf !== name) {
      talk.text = haystack(talk);
      talk.textOf = name;
    }
    return talk.text.includes(words);
  }

  function matches(talk, wanted) {
    const baseline = talk.arms.get(data.baseline);
    const candidate = talk.arms.get(candidateName());
    const arms = [baseline, candidate].filter(Boolean);
    const gain = difference(talk);
    switch (wanted.get("result")) {
      case "gain": if (!(gain > 0)) return false; break;
      case "loss": if (!(gain < 0)) return false; break;
      case "candidate-fails": if (candidate?.passed !== false) return false; break;
      case "baseline-fails": if (baseline?.passed !== false) return false; break;
      case "unscored": if (!arms.some((arm) => arm.score === undefined)) return false; break;
    }
    const end = wanted.get("end");
    if (end && !arms.some((arm) => arm.end === end)) return false;
    const criterion = wanted.get("criterion");
    if (criterion) {
      const place = data.criteria.findIndex((one) => one.id === criterion);
      if (!arms.some((arm) => (arm.criteria?.[place]?.value ?? 1) < 1)) return false;
    }
    if (wanted.get("flag") && !arms.some((arm) => arm.flags)) return false;
    const words = (wanted.get("q") ?? "").trim().toLowerCase();
    return !words || contains(talk, words);
  }

  function ordered(list, sort) {
    // A conversation without a number stands last.
    const by = (value) => list.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return x === null || y === null ? (x === null) - (y === null) : x - y;
    });
    if (sort === "loss") by(difference);
    if (sort === "gain") by((talk) => { const gain = difference(talk); return gain === null ? null : -gain; });
    if (sort === "low") by((talk) => talk.arms.get(candidateName())?.score ?? null);
    return list;
  }

  function filter() {
    const wanted = filters();
    shown = ordered(talks.filter((talk) => matches(talk, wanted)), wanted.get("sort"));
    limit = PAGE;
    list();
  }

  // The list

  const signed = (gain) => (gain >= 0 ? "+" : "-") + Math.abs(gain).toFixed(3);

  function change(talk) {
    const gain = difference(talk);
    if (gain === null) return "no difference";
    if (Math.abs(gain) < 0.0005) return element("span", {}, "= " + signed(0));
    return element("span", { class: gain > 0 ? "gain-word" : "loss-word" }, (gain > 0 ? "▲ " : "▼ ") + signed(gain));
  }

  function item(talk) {
    const score = (name) => talk.arms.get(name)?.shown ?? "none";
    const link = element("a", { href: address(talk) },
      element("span", { class: "name" }, `${visible(talk.persona.id)} · ${talk.repeat}`),
      element("span", { class: "line" }, `${score(data.baseline)} → ${score(candidateName())}  `, change(talk)),
      element("span", { class: "line" }, talk.arms.get(candidateName())?.end ?? ""));
    if (talk === current) link.setAttribute("aria-current", "true");
    talk.link = link;
    return element("li", {}, link);
  }

  function list() {
    byId("talks").replaceChildren(...shown.slice(0, limit).map(item));
    byId("more-talks").hidden = shown.length <= limit;
    const noun = talks.length === 1 ? "conversation" : "conversations";
    byId("talk-count").textContent = `${shown.length} of ${talks.length} ${noun} with each model, side by side`;
    steps();
  }

  byId("more-talks").addEventListener("click", () => {
    const next = shown[limit];
    limit += PAGE;
    list();
    next?.link?.focus();
  });

  // One conversation

  function text(words) {
    const needle = (form.elements.q.value ?? "").trim().toLowerCase();
    const whole = visible(words);
    const lower = whole.toLowerCase();
    // Lower case may change lengths; then nothing is marked rather than the wrong part.
    if (!needle || lower.length !== whole.length) return [whole];
    const parts = [];
    let from = 0;
    for (let at = lower.indexOf(needle); at !== -1 && parts.length < 400; at = lower.indexOf(needle, from)) {
      parts.push(whole.slice(from, at), element("mark", {}, whole.slice(at, at + needle.length)));
      from = at + needle.length;
    }
    parts.push(whole.slice(from));
    return parts;
  }

  function said(words) {
    const body = element("p", { class: "said", dir: "auto" }, ...text(words.slice(0, LONG)));
    if (words.length <= LONG) return [body];
    const button = element("button", { type: "button" }, `Show all ${words.length.toLocaleString("en")} characters`);
    button.addEventListener("click", () => {
      body.replaceChildren(visible(words));
      button.remove();
    });
    return [body, button];
  }

  function turn(one, model) {
    const who = one.who === "model" ? model : one.who;
    const finish = one.finish && one.finish !== "stop"
      ? ` · ended: ${typeof one.finish === "string" ? one.finish : Object.values(one.finish).join(" ")}` : "";
    return element("div", { class: `turn ${one.who}` },
      element("p", { class: "who" }, visible(who + finish)),
      one.reasoning === undefined ? null
        : element("details", {}, element("summary", {}, "Reasoning"), ...said(one.reasoning)),
      ...said(one.text));
  }

  function arm(conversation, name, role) {
    const title = element("h4", {}, `${visible(name)} (${role})`);
    const box = element("section", { class: `arm ${role}` }, title);
    if (!conversation) {
      box.append(element("p", { class: "state" }, "not held"));
      return box;
    }
    const passed = conversation.passed === undefined ? "" : conversation.passed ? " · ✓ passed" : " · ✗ not passed";
    box.append(element("p", { class: "state" },
      element("strong", {}, `score ${conversation.shown ?? "none"}`), `${passed} · ${conversation.end}`));
    const troubles = [
      ["No score", conversation.unscored],
      ["What went wrong", conversation.detail],
      ...(conversation.flags ?? []).map((flag) => ["⚑ Simulated person", flag]),
    ];
    for (const [label, words] of troubles) {
      if (words !== undefined) box.append(element("p", { class: "trouble" }, `${label}: `, ...text(words)));
    }
    box.append(...conversation.turns.map((one) => turn(one, name)));
    return box;
  }

  function reason(criterion) {
    const cell = element("td", { class: "reason", dir: "auto" });
    if (!criterion) return cell;
    if (criterion.unscored !== undefined) cell.append(...text(criterion.unscored), " ");
    if (criterion.reason !== undefined) cell.append(...said(criterion.reason));
    if (criterion.grades) {
      const grades = criterion.grades.map((grade) => element("li", {},
        `${visible(grade.judge)}, judgement ${grade.repeat}: ${grade.shown}. `, ...text(grade.reason)));
      cell.append(element("details", {}, element("summary", {}, "Judgements"), element("ul", {}, ...grades)));
    }
    return cell;
  }

  function criteria(baseline, candidate) {
    const head = (words, kind) => element("th", { scope: "col", class: kind }, words);
    const rows = data.criteria.map((one, place) => {
      const [before, after] = [baseline?.criteria?.[place], candidate?.criteria?.[place]];
      const score = (criterion) => element("td", { class: "number" }, criterion?.shown ?? "none");
      const name = visible(one.id) + (one.safety ? " (safety)" : "");
      return element("tr", {}, element("th", { scope: "row" }, name), score(before), score(after), reason(before),
        reason(after));
    });
    const names = [data.baseline, candidateName()].map(visible);
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores by criterion" },
      element("table", {},
        element("caption", { class: "unseen" }, "Scores by criterion"),
        element("thead", {}, element("tr", {}, head("Criterion"), head(names[0], "number"), head(names[1], "number"),
          head(`Reason, ${names[0]}`), head(`Reason, ${names[1]}`))),
        element("tbody", {}, ...rows)));
  }

  function step(label, by) {
    const button = element("button", { type: "button", id: by < 0 ? "previous-talk" : "next-talk" }, label);
    button.addEventListener("click", () => {
      const next = shown[shown.indexOf(current) + by];
      if (next) location.hash = address(next);
    });
    return button;
  }

  // Whether there is a conversation before and after this one among those listed.
  function steps() {
    const place = shown.indexOf(current);
    const [previous, next] = [byId("previous-talk"), byId("next-talk")];
    if (!previous) return;
    previous.disabled = place <= 0;
    next.disabled = place === -1 ? shown.length === 0 : place >= shown.length - 1;
  }

  function open(talk) {
    current?.link?.removeAttribute("aria-current");
    current = talk;
    talk.link?.setAttribute("aria-current", "true");
    const persona = talk.persona;
    const [baseline, candidate] = [talk.arms.get(data.baseline), talk.arms.get(candidateName())];
    const levels = Object.entries(persona.levels).map(([factor, level]) =>
      element("li", {}, `${visible(factor)}: ${visible(level)}`));
    byId("talk").replaceChildren(
      element("h3", { id: "talk-title", tabindex: "-1" }, `${visible(persona.id)}, conversation ${talk.repeat} `,
        change(talk)),
      element("div", { class: "steps" }, step("← Previous", -1), step("Next →", 1),
        element("a", { href: address(talk) }, "Link to this")),
      element("ul", { class: "levels" }, ...levels),
      element("p", {}, ...text(persona.situation), " ", ...text(persona.goal)),
      element("div", { class: "arms" }, arm(baseline, data.baseline, "baseline"),
        arm(candidate, candidateName(), "candidate")),
      element("h4", {}, "Scores by criterion"),
      criteria(baseline, candidate));
    steps();
  }

  function followAddress(isFirst) {
    const values = addressed();
    if (!values) {
      if (isFirst && shown.length) open(shown[0]);
      return;
    }
    const before = filters().toString();
    takeAddress(values);
    if (isFirst || filters().toString() !== before) filter();
    const persona = values.get("persona");
    const repeat = values.get("repeat");
    const isWanted = (talk) => talk.persona.id === persona && (repeat === null || String(talk.repeat) === repeat);
    const found = persona === null ? shown[0] : talks.find(isWanted);
    if (!found) {
      if (persona !== null) byId("talk-count").textContent = "This conversation is not in the report.";
      return;
    }
    const isListed = shown.indexOf(found);
    if (isListed >= limit) {
      limit = isListed + PAGE;
      list();
    }
    open(found);
    byId("transcripts").scrollIntoView();
    if (persona !== null) {
      byId("talk-title").focus({ preventScroll: true });
      if (found.link) inView(found.link);
    }
  }

  // Scrolls the list only, never the page.
  function inView(link) {
    const box = byId("talks").parentElement;
    const place = link.getBoundingClientRect().top - box.getBoundingClientRect().top;
    if (place < 0 || place > box.clientHeight / 2) box.scrollTop += place - box.clientHeight / 4;
  }

  function changed() {
    filter();
    if (!shown.includes(current) && shown.length) open(shown[0]);
    else if (current) open(current);
    history.replaceState(null, "", address(shown.length ? current : null));
  }

  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(changed, 120);
  });
  form.addEventListener("reset", () => setTimeout(changed));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => {
    load();
    followAddress(false);
  });
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("figure details")) details.open = true;
  });

  function begin() {
    load();
    if (form.elements.with) form.elements.with.value = data.with;
    filter();
    followAddress(true);
    document.documentElement.dataset.ready = "true";
  }
  // The page is painted before the conversations are read.
  requestAnimationFrame(() => setTimeout(begin));
})();
