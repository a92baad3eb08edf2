/* Shows a ranking frame by frame: the passages in their order, those that were read, and what was answered. */

import { $, $$, counted, el, firstOf, number, usd } from "./dom.js";
import { moved } from "./frames.js";
import { wordsOf } from "./recent.js";

const MOVE_MS = 480;
const REPLAY_MS = 1400;
const FIRST = 4;
const MOST = 60;
const still = matchMedia("(prefers-reduced-motion: reduce)");

let texts = [];
let frames = null;
let at = 0;
let live = false;
let marked = null;
let playing = null;
let due = null;

/** Begin to show the ranking of these passages. */
export function begin(passages, these) {
  stop();
  [texts, frames, at, live, marked] = [passages, these, 0, true, null];
  $("#order").replaceChildren(...texts.map(passage));
  $("#steps").hidden = false;
  $("#stage").classList.remove("idle");
  show(0);
}

/** Something new came: what was not looked back from is followed. Much that comes at once is shown at once. */
export function refresh() {
  due ??= requestAnimationFrame(() => {
    due = null;
    show(live ? frames.all.length - 1 : at);
  });
}

export function start() {
  $("#back").addEventListener("click", () => step(-1));
  $("#next").addEventListener("click", () => step(1));
  $("#replay").addEventListener("click", () => (playing ? stop() : replay()));
  $("#stage").addEventListener("keydown", (event) => {
    if (!frames || event.altKey || event.ctrlKey || event.metaKey) return;
    const target = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: frames.all.length - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    stop();
    go(target);
  });
}

function step(by) {
  stop();
  go(at + by);
}

function go(target) {
  const last = frames.all.length - 1;
  const place = Math.max(0, Math.min(last, target));
  live = place === last;
  show(place);
}

function replay() {
  go(0);
  playing = setInterval(() => {
    go(at + 1);
    if (at === frames.all.length - 1) stop();
  }, REPLAY_MS);
  $("#replay").textContent = "Pause";
}

function stop() {
  clearInterval(playing);
  playing = null;
  $("#replay").textContent = "Replay";
}

/* One frame */

function show(place) {
  at = place;
  const frame = frames.all[at];
  stepper();
  $("#receipt").hidden = !frame.words;
  if (frame.words) $("#receipt").replaceChildren(wordsOf(frame.words));
  $("#windows").replaceChildren(...headOf(frame), ...windowsOf(frame));
  arrange(frame);
}

function stepper() {
  const last = frames.all.length - 1;
  const buttons = frames.all.map((frame, place) => el("button", {
    type: "button", class: frame.kind, "aria-current": place === at ? "step" : null, "aria-label": frame.kind === "step" ? `Step ${frame.name}` : frame.name,
    onclick: () => { stop(); go(place); },
  }, frame.name));
  const focused = $$("#frames button").indexOf(document.activeElement);
  $("#frames").replaceChildren(...buttons);
  if (focused >= 0) buttons[Math.min(at, last)].focus({ preventScroll: true });
  const strip = $("#frames");
  strip.scrollLeft = buttons[at].offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + buttons[at].offsetWidth / 2;
  // a button that has the focus is not disabled, or the keys would go nowhere
  $("#back").setAttribute("aria-disabled", String(at === 0));
  $("#next").setAttribute("aria-disabled", String(at === last));
}

function headOf(frame) {
  if (frame.kind === "given") return [el("p", { class: "hint" }, "The passages as they were given.")];
  if (frame.kind === "local") return [el("p", { class: "hint" }, "The order of the local model, which the LLM starts from.")];
  if (frame.kind === "result") {
    const meaning = { probability: "Scores are the local model’s probabilities that a passage is relevant.", rank: "Scores say the order, and nothing else." }[frame.kindOfScore];
    return [el("p", { class: "hint" }, meaning)];
  }
  const left = frame.pending ? frame.asked.length - frames.read : 0;
  return frame.pending ? [el("p", { class: "waiting" }, left > 1 ? `${left} windows are being read…` : "The window is being read…")] : [];
}

function windowsOf(frame) {
  const shown = frame.windows.slice(0, MOST).map((each, nth) => windowOf(each, nth + 1, frame));
  const left = frame.windows.length - shown.length;
  return [...firstOf(FIRST, shown, "windows", $("#windows .more")?.open), left ? el("p", { class: "hint" }, `and ${number(left)} more`) : ""];
}

function windowOf(window, nth, frame) {
  const several = (frame.windows.length > 1 || frame.asked.length > 1 ? `, window ${nth}` : "") + (window.sample ? `, sample ${window.sample}` : "");
  const repairs = Object.entries(window.repairs).map(([kind, times]) => el("span", { class: "badge warn" }, `repaired: ${kind.replaceAll("_", " ")} ${times}`));
  const paid = window.cached ? "from the cache" : window.usd > 0 ? usd(window.usd) : null;  // none where no price is known
  return el("article", { class: "window" },
    el("h3", {}, `Step ${window.step + 1}${several}`, el("span", { class: "soft" }, ` · ${window.model}`)),
    el("p", { class: "facts-line" },
      el("span", {}, counted(window.shown.length, "passage")),
      window.answered ? el("span", {}, `${moved(window)} moved`) : null,
      el("span", {}, `${number(window.input_tokens)} + ${number(window.output_tokens)} tokens`),
      paid ? el("span", {}, paid) : null,
      repairs),
    window.error ? el("p", { class: "wrong" }, `Kept its order: ${window.error}`) : null,
    window.answer === null ? null : el("div", {}, el("h4", {}, "Answer as given"), el("pre", { tabindex: 0 }, window.answer || "(empty)")));
}

/* The passages */

function passage(text, place) {
  const follow = () => {
    marked = marked === place ? null : place;
    for (const each of $$("#order > li")) mark(each);
  };
  return el("li", { "data-place": place },
    el("span", { class: "rank" }), el("span", { class: "move" }),
    el("div", { class: "body" },
      el("button", { type: "button", class: "name", "aria-pressed": "false", title: "Follow this passage, and read all of it", onclick: follow }, `#${place + 1}`),
      el("span", { class: "score" }), el("p", { class: "text" }, text)));
}

function mark(item) {
  const chosen = Number(item.dataset.place) === marked;
  item.classList.toggle("marked", chosen);
  $(".name", item).setAttribute("aria-pressed", String(chosen));
}

/** Put the passages in a frame's order; where motion is welcome they are seen to move. */
function arrange(frame) {
  const list = $("#order");
  const known = new Map($$(":scope > li", list).map((each) => [Number(each.dataset.place), each]));
  const top = (item) => item.getBoundingClientRect().top - list.getBoundingClientRect().top;
  const tops = still.matches ? null : new Map([...known].map(([place, item]) => [place, top(item)]));
  const before = new Map(frame.before.map((place, rank) => [place, rank]));
  const read = new Set((frame.pending ? frame.asked : frame.windows.map((each) => each.shown)).flat());
  const items = frame.order.map((place, rank) => dressed(known.get(place), frame, rank, before.get(place), read.has(place)));
  const same = items.every((item, rank) => list.children[rank] === item);
  if (!same) list.replaceChildren(...items);
  if (same || tops === null) return;
  for (const item of items) {
    const by = tops.get(Number(item.dataset.place)) - top(item);
    if (by) item.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: MOVE_MS, easing: "cubic-bezier(.3, 0, .2, 1)" });
  }
}

function dressed(item, frame, rank, was, read) {
  const up = was - rank;
  item.classList.toggle("read", read);
  item.classList.toggle("pending", read && Boolean(frame.pending));
  $(".rank", item).textContent = rank + 1;
  const move = $(".move", item);
  move.className = `move ${up > 0 ? "up" : up < 0 ? "down" : ""}`;
  move.textContent = up > 0 ? `↑ ${up}` : up < 0 ? `↓ ${-up}` : "";
  const score = frame.scores?.get(Number(item.dataset.place));
  $(".score", item).textContent = score === undefined ? "" : score.toPrecision(3);
  return item;
}
