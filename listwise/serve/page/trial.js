/* The form to try a query. */

import { rank, Refused } from "./api.js";
import { $, counted } from "./dom.js";
import { PASSAGES, QUERY } from "./example.js";
import { inWords } from "./figures.js";
import { Frames } from "./frames.js";
import * as stage from "./stage.js";

let policies = [];
let running = null;

/** Passages as they are written: parted by empty lines if there are any, else one a line. */
export function parted(text) {
  const whole = text.replaceAll("\r\n", "\n").trim();
  const parts = /\n\s*\n/.test(whole) ? whole.split(/\n\s*\n/) : whole.split("\n");
  return parts.map((each) => each.trim()).filter(Boolean);
}

/** The policies that may be chosen. */
export function offer(these) {
  if (JSON.stringify(these) === JSON.stringify(policies)) return;
  policies = these;
  const chosen = $("#policy").value;
  $("#policy").replaceChildren(...policies.map(({ name }) => new Option(name, name)));
  if (policies.some(({ name }) => name === chosen)) $("#policy").value = chosen;
  describe();
}

function describe() {
  const policy = policies.find(({ name }) => name === $("#policy").value);
  $("#policy-hint").textContent = policy ? inWords(policy) : "";
}

function count() {
  const { length } = parted($("#passages").value);
  $("#count").textContent = length ? `${counted(length, "passage")}.` : "No passages yet.";
}

/** `done` is told when a ranking has ended, one way or the other. */
export function start(done) {
  stage.start();
  $("#passages").addEventListener("input", count);
  $("#policy").addEventListener("input", describe);
  $("#example").addEventListener("click", () => {
    $("#query").value = QUERY;
    $("#passages").value = PASSAGES.join("\n");
    count();
    $("#rank").focus();
  });
  $("#stop").addEventListener("click", () => running?.abort());
  $("#try").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    busy(true);
    try {
      await tryIt(running.signal);
    } finally {
      running = null;
      busy(false);
      done();
    }
  });
}

/** Where the key was taken back, nothing may go on in its name. */
export const stop = () => running?.abort();

function busy(is) {
  $("#rank").setAttribute("aria-disabled", String(is));  // what has the focus keeps it
  $("#stop").hidden = !is;
  $("#stage").setAttribute("aria-busy", String(is));
}

function wish() {
  const form = $("#try").elements;
  const [budget, deadline] = [form.budget.value.trim(), form.deadline.value.trim()];
  return { policy: form.policy.value, ...(budget && { budget_usd: budget }), ...(deadline && { deadline_s: Number(deadline) }) };
}

async function tryIt(signal) {
  const documents = parted($("#passages").value);
  if (!documents.length) {
    say("There are no passages to rank.", true);
    return;
  }
  const frames = new Frames(documents.length);
  stage.begin(documents, frames);
  say("Ranking…");
  $("#stage").scrollIntoView({ block: "nearest" });
  try {
    for await (const event of rank({ query: $("#query").value, documents, listwise: wish() }, signal)) {
      const said = frames.take(event);
      if (event.event === "refused") say(`It was refused: ${event.message}`, true);
      else say(said);
      stage.refresh();
    }
    if (frames.last.pending) throw new Refused(0, "the connection was lost");
  } catch (error) {
    frames.take({ event: "ended" });
    stage.refresh();
    if (error.name === "AbortError") say("Stopped: the rest of the work is cancelled.");
    else if (error instanceof Refused) say(`It ${error.status ? "was refused" : "came to nothing"}: ${error.message}`, true);
    else throw error;
  }
}

function say(text, wrong = false) {
  $("#said").textContent = text;
  $("#said").classList.toggle("wrong", wrong);
}
