/* The latest rankings with their receipts. */

import { $, counted, duration, el, firstOf, usd } from "./dom.js";
import { tierName } from "./figures.js";

const FIRST = 10;
let shown = "";

export function show({ worker, rankings }, { workers, account, log_queries: logged }) {
  const whose = account === null ? "" : ` of account ${account}`;
  const where = workers === 1 ? "" : ` This is what one of ${workers} workers made, process ${worker}.`;
  const texts = logged ? "" : " Queries and passages are not kept (see --log-queries).";
  $("#recent-scope").textContent = `The latest rankings${whose} with their receipts, in memory.${where}${texts}`;
  const ids = rankings.map((each) => each.id).join();
  if (ids === shown && rankings.length) return;
  shown = ids;
  const place = $("#recent");
  if (!rankings.length) {
    place.replaceChildren(el("p", { class: "quiet" }, "Nothing was ranked yet."));
    return;
  }
  const old = new Map([...place.querySelectorAll("details.ranking")].map((each) => [each.id, each]));
  const lines = rankings.map((each) => old.get(`ranking-${each.id}`) ?? rankingOf(each));
  place.replaceChildren(...firstOf(FIRST, lines, "rankings", place.querySelector(".more")?.open));
}

function rankingOf({ id, at, policy, documents, receipt, words, query, top }) {
  const time = new Date(at);
  const decided = Object.keys(receipt.ordered_by).length ? "llm" : receipt.fallback ?? receipt.route;
  const spent = receipt.priced ? usd(receipt.usd) : "no price";
  return el("details", { class: "ranking", id: `ranking-${id}` },
    el("summary", {},
      el("time", { datetime: at, title: time.toLocaleString() }, time.toLocaleTimeString()),
      el("span", { class: "what" }, query ?? `${policy}, ${counted(documents, "passage")}`),
      el("span", { class: `tag ${decided}` }, tierName(decided)),
      el("span", { class: "figure" }, spent),
      el("span", { class: "figure" }, duration(receipt.seconds)),
      el("span", { class: "state" }, receipt.degraded.length ? el("span", { class: "badge warn" }, "degraded") : null)),
    wordsOf(words),
    top?.length ? el("ol", { class: "best" }, top.map(({ index, text }) => el("li", {}, el("span", { class: "soft" }, `#${index + 1} `), text))) : null,
    el("p", { class: "hint" }, `policy ${policy}, ${counted(documents, "passage")}, request `, el("code", {}, id)),
    el("details", { class: "whole" }, el("summary", {}, "The whole receipt"), el("pre", { tabindex: 0 }, JSON.stringify(receipt, null, 2))));
}

const HEADINGS = { order: "Order", why: "Why", cost: "Cost", repaired: "Repaired", noted: "Noted", degraded: "Degraded" };

/** A receipt in words. */
export function wordsOf(words) {
  return el("dl", { class: "words" }, words.map(({ what, text }) => el("div", { class: what }, el("dt", {}, HEADINGS[what] ?? what), el("dd", {}, text))));
}
