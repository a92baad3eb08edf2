/* The figures at the top, and the policies. All of them are the service's; only shares are worked out here. */

import { $, counted, duration, el, firstOf, limit, number, percent, usd } from "./dom.js";

const TIERS = { llm: "LLM", local: "local model", first_stage: "as it came", empty: "nothing to rank" };
const FIRST = 4;
const made = new Map();
const KNOWN = Object.keys(TIERS);
export const tierName = (tier) => TIERS[tier] ?? tier;

export function show(status) {
  const { spending, traffic, workers, account } = status;
  $("#about").textContent = `re-ranking service, version ${status.version}`;
  part("#spending", [spending, account], spendingOf);
  part("#tiers", [traffic], tiersOf);
  part("#seconds", [traffic.seconds], secondsOf);
  part("#work", [traffic], workOf);
  const whole = account === null ? "" : " They are those of the service as a whole; spending is your account’s.";
  $("#scope").textContent = `Orders, times and cache: ${workers === 1 ? "since this service started" : `of all ${workers} workers, since the service started`}.${whole}`;
  part("#policies", [status.policies], (policies) => policies.map(policyRow));
}

/** Make a part anew only where its figures are others: whoever reads or has opened something there is not disturbed. */
function part(selector, figures, make) {
  const place = $(selector);
  const text = JSON.stringify(figures);
  if (made.get(selector) === text) return;
  made.set(selector, text);
  place.replaceChildren(...make(...figures));
}

/* Spending */

function spendingOf(spending, own) {
  if (!spending.kept) {
    const why = spending.pays ? "This service keeps no ledger: what a ranking cost is in its receipt." : "Nothing that this service does costs money.";
    return [el("p", { class: "quiet" }, why)];
  }
  const several = spending.accounts.length > 1;
  const run = spending.run ? meter("This run", `Run ${spending.run.name}`, spending.run) : null;
  const accounts = spending.accounts.map((each) => el("div", { class: "account" },
    several || own !== null ? el("h4", {}, `account ${each.account}`) : null,
    el("div", { class: "meters" },
      meter("Today", `Today, ${each.account}`, each.day),
      meter("This month", `This month, ${each.account}`, each.month),
      meter("Ever", `Ever, ${each.account}`, each.total),
      several ? null : run)));
  if (several && run) accounts.unshift(el("div", { class: "account" }, el("h4", {}, "all accounts"), el("div", { class: "meters" }, run)));
  return [...firstOf(FIRST, accounts, "accounts", $("#spending .more")?.open), el("p", { class: "hint" }, `Days and months are UTC’s. ${spending.run ? `This run is what the service spends for: ${spending.run.name}.` : ""}`)];
}

/** What a scope holds; with a cap as a bar: spent, and beside it what is reserved. */
function meter(name, label, { usd: spent, reserved_usd: reserved, cap_usd: cap }) {
  const held = spent + reserved;
  const parts = [el("span", { class: "name" }, name), el("span", { class: "amount" }, usd(spent), el("span", { class: "soft" }, cap === null ? " no cap" : ` of ${limit(cap)}`))];
  const also = reserved > 0 ? el("span", { class: "soft reserved-said" }, `${usd(reserved)} reserved`) : null;
  if (cap === null) return el("div", { class: "meter" }, parts, also);
  const share = (amount) => cap > 0 ? Math.min(100, (100 * amount) / cap) : 100;
  const bar = el("div", {
    class: `bar ${share(held) >= 100 ? "full" : share(held) >= 80 ? "high" : ""}`, role: "meter", "aria-label": label,
    "aria-valuemin": 0, "aria-valuemax": cap, "aria-valuenow": Math.min(held, cap), "aria-valuetext": `${usd(spent)} of ${limit(cap)}, ${usd(reserved)} reserved`,
  }, el("i", { class: "spent" }), el("i", { class: "reserved" }));
  bar.children[0].style.width = `${share(spent)}%`;
  bar.children[1].style.width = `${Math.max(0, share(held) - share(spent))}%`;
  return el("div", { class: "meter" }, parts, bar, also);
}

/* Traffic */

function tiersOf({ rankings, tiers, degraded }) {
  if (rankings === 0) return [el("p", { class: "quiet" }, "No rankings yet.")];
  const names = [...KNOWN.filter((tier) => tiers[tier]), ...Object.keys(tiers).filter((tier) => !KNOWN.includes(tier))];
  const bar = el("div", { class: "stack", "aria-hidden": "true" }, names.map((tier) => el("i", { class: tier })));
  names.forEach((tier, at) => { bar.children[at].style.flexGrow = tiers[tier]; });
  const legend = names.map((tier) => el("li", {}, el("i", { class: `dot ${tier}`, "aria-hidden": "true" }), el("span", {}, tierName(tier)),
    el("b", {}, percent(tiers[tier], rankings)), el("span", { class: "soft" }, number(tiers[tier]))));
  return [bar, el("ul", { class: "legend" }, legend), el("p", { class: "hint" }, `${counted(rankings, "ranking")}; ${number(degraded)} not wholly as asked`)];
}

function secondsOf({ spans, quantiles }) {
  const total = spans.reduce((sum, span) => sum + span.requests, 0);
  if (total === 0) return [el("p", { class: "quiet" }, "No requests yet.")];
  const said = quantiles.map(({ share, most }) => el("div", {}, el("dt", {}, `${+(100 * share).toPrecision(4)} % within`), el("dd", {}, most === null ? "–" : duration(most))));
  const most = Math.max(...spans.map((span) => span.requests));
  const name = (span, at) => (span.most === null ? `above ${duration(spans[at - 1].most)}` : `up to ${duration(span.most)}`);
  const bars = spans.map((span, at) => el("i", { title: `${name(span, at)}: ${counted(span.requests, "request")}` }));
  bars.forEach((bar, at) => { bar.style.height = spans[at].requests ? `${Math.max(6, (100 * spans[at].requests) / most)}%` : "1px"; });
  const label = spans.map((span, at) => [name(span, at), span.requests]).filter(([, n]) => n).map(([text, n]) => `${text}: ${n}`).join("; ");
  return [
    el("dl", { class: "quantiles" }, said),
    el("div", { class: "histogram", role: "img", "aria-label": `Requests by time: ${label}` }, bars),
    el("div", { class: "axis soft", "aria-hidden": "true" }, el("span", {}, duration(spans[0].most)), el("span", {}, `> ${duration(spans.at(-2).most)}`)),
    el("p", { class: "hint" }, `${counted(total, "request")}, refused ones included`),
  ];
}

function workOf({ calls, cache_hits: hits, repairs, retries, running, waiting }) {
  const row = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return [
    el("p", { class: "big" }, calls ? percent(hits, calls) : "–", el("span", { class: "soft" }, " of LLM calls from the cache")),
    el("dl", { class: "facts" },
      row("LLM calls", number(calls)), row("from the cache", number(hits)), row("answers repaired", number(repairs)),
      row("attempts repeated", number(retries)), row("running now", number(running)), row("waiting now", number(waiting))),
  ];
}

/* Policies */

export function asked({ llm, escalate }) {
  if (llm === null) return "never";
  if (escalate === "always" || escalate === "never") return escalate;
  return escalate === "auto" ? "where it is expected to pay" : `for ${percent(escalate, 1)} of queries`;
}

function policyRow(policy) {
  const { name, local, llm, fallback, strategy, window, depth, budget_usd: budget, deadline_s: deadline, simulated } = policy;
  const cell = (...content) => el("td", {}, content);
  return el("tr", {}, el("th", { scope: "row" }, name), cell(local.join(" > ") || "none"),
    cell(llm === null ? "none" : [llm, ...fallback].join(", then "), simulated ? el("span", { class: "badge warn" }, "simulated") : null),
    cell(asked(policy)), cell(llm === null ? "–" : `${strategy}, ${window} of the best ${depth}`),
    cell(budget === null ? "no limit" : limit(budget)), cell(duration(deadline)));
}

/** A policy in a sentence, for the form. */
export function inWords(policy) {
  const { local, llm, strategy, window, budget_usd: budget } = policy;
  const first = local.length ? `First ${local.join(" > ")} scores the passages` : "Nothing scores the passages first";
  if (llm === null) return `${first}; no LLM is asked.`;
  const spent = budget === null ? "no limit a query" : `${limit(budget)} a query at most`;
  return `${first}; ${llm} is asked ${asked(policy)}: ${strategy}, windows of ${window}; ${spent}.`;
}
