/* The view of single queries. Their records are parsed when they are asked for. */
const UNIT = 10000;
const three = (value) => (value === null || value === undefined ? "–" : (value / UNIT).toFixed(3));
const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value / UNIT).toFixed(3)}`;
const badge = (system) => (system.simulated ? el("span", { class: "badge simulated" }, "simulated") : null);
const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
const dollars = (usd) => `$${usd === 0 ? "0" : usd >= 0.01 ? usd.toFixed(4) : usd.toFixed(6)}`;
let all, measure, chosen, marked = null;

function startQueries() {
  all = JSON.parse($("#index").textContent);
  measure = all.measures[0];
  const form = $("#find");
  const { collection, system, order } = form.elements;
  const systems = () => {
    const known = all.collections[collection.value].systems;
    system.replaceChildren(
      ...known.map((each, at) => el("option", { value: at }, each.simulated ? `${each.name} (simulated)` : each.name)),
    );
    const mean = (each) => average(each.values[measure] ?? []);
    const others = known.map((each, at) => [mean(each) - (each.baseline ? 2 * UNIT : each.simulated ? UNIT : 0), at]);
    system.value = String(others.reduce((best, each) => (each[0] > best[0] ? each : best))[1]);
  };
  systems();
  form.addEventListener("submit", (event) => event.preventDefault());
  collection.addEventListener("input", systems);
  form.addEventListener("input", () => list(form));
  addEventListener("hashchange", () => open(form));
  form.hidden = false;
  order.value = "gain";
  list(form);
  open(form);
}

function average(values) {
  const known = values.filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : 0;
}

/** The queries that are looked for, in the order chosen. */
function list(form) {
  const { collection, system, order, words } = form.elements;
  const { systems, qids, texts } = all.collections[collection.value];
  const base = systems.find((each) => each.baseline);
  const value = (each, at) => each?.values[measure]?.[at] ?? null;
  const wanted = words.value.trim().toLowerCase();
  const found = qids
    .map((qid, at) => ({ qid, at, text: texts[at], was: value(base, at), now: value(systems[system.value], at) }))
    .filter((each) => `${each.qid} ${each.text}`.toLowerCase().includes(wanted));
  const gain = (each) => (each.was === null || each.now === null ? 0 : each.now - each.was);
  if (order.value === "gain") found.sort((a, b) => gain(b) - gain(a));
  if (order.value === "loss") found.sort((a, b) => gain(a) - gain(b));
  const cell = (content) => el("td", { class: "number" }, content);
  $("#list tbody").replaceChildren(
    ...found.map((each) => {
      const change = each.was === null || each.now === null || systems[system.value] === base ? "" : signed(gain(each));
      const button = el("button", { type: "button", onclick: () => choose(collection.value, each.qid) }, each.text || each.qid);
      const classes = gain(each) > 0 ? "number better" : gain(each) < 0 ? "number worse" : "number";
      return el("tr", { class: chosen === `${collection.value}/${each.qid}` ? "chosen" : null },
        el("td", {}, each.qid), el("td", {}, button), cell(three(each.was)), cell(three(each.now)), el("td", { class: classes }, change));
    }),
  );
  $("#base").textContent = base ? base.name : "baseline";
  $("#other").textContent = system.selectedOptions[0].textContent;
  $("#found").textContent = `${count(found.length, "query").replace("querys", "queries")} of ${qids.length}; ${measure}`;
}

function choose(collection, qid) {
  const hash = `#query=${encodeURIComponent(collection)}/${encodeURIComponent(qid)}`;
  if (location.hash === hash) open($("#find"));
  else location.hash = hash;
}

/** Show the query that the address names. */
function open(form) {
  if (!location.hash.startsWith("#query=")) return;
  let named;
  try { named = location.hash.slice(7).split("/").map(decodeURIComponent); } catch { return; /* no address of ours */ }
  const [collection, qid] = named;
  const at = all.collections[collection]?.qids.indexOf(qid) ?? -1;
  if (at < 0) return;
  if (form.elements.collection.value !== collection) {
    form.elements.collection.value = collection;
    form.elements.collection.dispatchEvent(new Event("input", { bubbles: true }));
  }
  chosen = `${collection}/${qid}`;
  marked = null;
  list(form);
  show(collection, at, Number(form.elements.system.value));
}

function show(collection, at, system) {
  const known = all.collections[collection];
  const record = JSON.parse(document.getElementById(`query-${collection}-${at}`).textContent);
  const place = $("#query");
  const heading = el("h3", { tabindex: "-1" }, known.texts[at] || known.qids[at]);
  const ranking = el("div", { "aria-live": "polite" });
  const pick = (number) => {
    for (const each of $$(".choose", place)) each.setAttribute("aria-pressed", String(Number(each.value) === number));
    ranking.replaceChildren(...rankingOf(known.systems[number], record.systems[number], record));
  };
  place.replaceChildren(
    heading,
    el("p", { class: "hint" }, `${collection}, query ${known.qids[at]}; ${count(record.relevant, "passage")} judged relevant. Choose a system to see its ranking and, for an LLM, the windows that it read.`),
    scores(known, at, pick),
    ranking,
  );
  place.hidden = false;
  pick(system);
  heading.focus({ preventScroll: true });
  place.scrollIntoView();
}

/** What each system makes of a query; each is a button. */
function scores(known, at, pick) {
  const head = ["System", "", ...all.measures].map((name) => el("th", { scope: "col", class: name && name !== "System" ? "number" : null }, name));
  const rows = known.systems.map((system, number) => {
    const value = system.values[measure]?.[at] ?? 0;
    const button = el("button", { type: "button", class: "choose", value: number, "aria-pressed": "false", onclick: () => pick(number) }, system.name);
    const name = el("span", {}, button);
    const seeds = system.seeds > 1 ? el("span", { class: "badge" }, `mean of ${system.seeds} runs`) : null;
    const bar = el("span", { class: "bar", "aria-hidden": "true" }, el("i"));
    bar.firstChild.style.width = `${(100 * value) / UNIT}%`;
    return el("tr", {}, el("th", { scope: "row" }, name, badge(system), seeds), el("td", {}, bar),
      all.measures.map((name) => el("td", { class: "number" }, three(system.values[name]?.[at]))));
  });
  const table = el("table", { "aria-label": "Systems on this query" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of systems" }, table);
}

function rankingOf(system, ranking, record) {
  const windows = ranking.windows ?? [];
  const seeds = system.seeds > 1 ? " of the first seed" : "";
  const rows = ranking.top.map((doc, at) => {
    const was = ranking.was?.[at];
    const moved = ranking.was ? (was ? movedBy(was - at - 1) : el("span", { class: "moved" }, "new")) : "";
    const path = pathOf(doc, windows);
    return el("li", { "data-doc": doc, class: "passage" }, el("span", { class: "rank" }, String(at + 1)), el("span", {}, moved),
      el("div", {}, grade(record.grades[doc]), docButton(doc, record), el("p", { class: "text" }, record.texts[doc] || "(text not kept)"),
        path ? el("p", { class: "path" }, path) : null));
  });
  return [
    el("h4", {}, el("span", {}, `Ranking${seeds}: ${system.name}`), badge(system)),
    ranking.receipt ? receiptOf(ranking.receipt, system) : null,
    rows.length ? el("ol", { class: "passages" }, rows) : el("p", {}, "It ranked nothing for this query."),
    windows.length ? el("h4", {}, `${count(windows.length, "window")} read, in order`) : null,
    windows.length ? el("p", { class: "hint" }, "Lines lead from the place shown to the place given; green ones are of relevant passages. Choose a docid to follow that passage through all windows and to read all of it.") : null,
    ...windows.map((window, at) => windowOf(window, at, windows.length, system, record)),
  ].filter(Boolean);
}

function receiptOf(receipt, system) {
  const usd = receipt.usd === undefined ? "no price known" : dollars(receipt.usd) + (system.simulated ? ", made up" : "");
  const parts = [
    `Receipt: ${receipt.reason}; ${count(receipt.calls, "call")}, ${receipt.cached} from the cache, ${count(receipt.passages, "passage")} read, `,
    `${receipt.tokens[0].toLocaleString("en")} + ${receipt.tokens[1].toLocaleString("en")} tokens, ${usd}, ${receipt.seconds} s.`,
  ];
  const said = (name, texts = []) => texts.map((text) => el("p", { class: "repaired" }, `${name}: ${text}`));
  return el("div", {}, el("p", {}, parts.join("")), said("Degraded", receipt.degraded), said("Noted", receipt.notes));
}

const orderOf = (window) => window.order ?? window.shown.map((_, at) => at);
const answerOf = (window) => ("answer" in window ? window.answer : window.order.map((at) => `[${at + 1}]`).join(" > "));

/** Where a passage was shown and put, window by window. */
function pathOf(doc, windows) {
  const parts = windows.flatMap((window, at) => {
    const shown = window.shown.indexOf(doc);
    return shown < 0 ? [] : [`window ${at + 1}: ${shown + 1} → ${orderOf(window).indexOf(shown) + 1}`];
  });
  if (!windows.length) return "";
  return parts.length ? parts.join("; ") : "not read by the LLM";
}

function windowOf(window, at, of, system, record) {
  const order = orderOf(window);
  const moves = order.filter((shown, placed) => shown !== placed).length;
  const paid = window.cached ? "from the cache" : dollars(window.usd) + (system.simulated ? " (made up)" : "");
  const again = window.sample ? `, sample ${window.sample}` : "";
  const repairs = Object.entries(window.repairs ?? {}).map(([kind, times]) => `${kind.replaceAll("_", " ")} ${times}`);
  const answer = answerOf(window);
  const longer = window.longer ? ` … (${window.longer.toLocaleString("en")} characters)` : "";
  return el("details", { class: "window", open: at === of - 1 },
    el("summary", {}, el("b", {}, `Window ${at + 1} of ${of}`), `, step ${window.step}${again}: ${count(window.shown.length, "passage")}, ${moves} moved; ${window.tokens[0]} + ${window.tokens[1]} tokens, ${paid}`,
      repairs.length ? el("span", { class: "repaired" }, ` · repaired: ${repairs.join(", ")}`) : null,
      window.order ? null : el("span", { class: "failed" }, " · kept its order")),
    window.error ? el("p", { class: "failed" }, window.error) : null,
    el("h5", {}, `Answer of ${window.model ?? system.model}`),
    el("pre", {}, answer === null ? "(none)" : answer === "" ? "(empty)" : answer + longer),
    el("h5", {}, "Shown, and given"),
    slope(window, order, record));
}

const LINE = 26;
function slope(window, order, record) {
  const y = (place) => place * LINE + LINE / 2;
  const lines = order.map((shown, placed) => {
    const doc = window.shown[shown];
    return el("line", { x1: 30, y1: y(shown), x2: 142, y2: y(placed), "data-doc": doc, class: record.grades[doc] > 0 ? "relevant" : null });
  });
  const numbers = order.map((_, place) => el("text", { x: 22, y: y(place) + 4, "text-anchor": "end", class: "tick" }, String(place + 1)));
  const rows = order.map((shown, placed) => {
    const doc = window.shown[shown];
    return el("li", { "data-doc": doc }, el("span", { class: "rank" }, String(placed + 1)), movedBy(shown - placed),
      grade(record.grades[doc], true), docButton(doc, record), el("span", { class: "text", title: record.texts[doc] }, record.texts[doc]));
  });
  const drawing = el("svg", { viewBox: `0 0 152 ${order.length * LINE}`, preserveAspectRatio: "none", height: order.length * LINE, "aria-hidden": "true" }, lines, numbers);
  return el("div", { class: "slope" }, drawing, el("ol", {}, rows));
}

function movedBy(up) {
  if (up === 0) return el("span", { class: "moved" }, "·");
  return el("span", { class: `moved ${up > 0 ? "up" : "down"}` }, up > 0 ? `↑ +${up}` : `↓ −${-up}`);
}

function grade(value, short = false) {
  const known = value !== null && value !== undefined;
  const classes = !known ? "grade" : value > 1 ? "grade relevant high" : value > 0 ? "grade relevant" : "grade";
  const text = known ? (short ? `g ${value}` : `grade ${value}`) : short ? "g ?" : "not judged";
  return el("span", { class: classes, title: known ? `judged ${value}` : "not judged" }, text);
}

/** A docid that marks its passage wherever it stands. */
function docButton(doc, record) {
  const toggle = () => {
    marked = marked === doc ? null : doc;
    for (const each of $$("#query [data-doc]")) each.classList.toggle("marked", Number(each.dataset.doc) === marked);
  };
  return el("button", { type: "button", class: "doc", onclick: toggle, title: "Follow this passage, and read all of it" }, record.docids[doc]);
}
