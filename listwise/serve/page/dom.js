/* Elements and texts. What comes from outside is only ever a text, never markup. */

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

const SVG = new Set(["svg", "rect", "path", "line"]);

/** An element with attributes, listeners (`on…`) and content; nothing is left out that is 0. */
export function el(name, attributes = {}, ...content) {
  const made = SVG.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...content.flat(9).filter((each) => each !== null && each !== undefined && each !== "").map((each) => (each instanceof Node ? each : String(each))));
  return made;
}

/** The first so many of these, and the others behind a line that says how many. */
export function firstOf(most, these, what, open = false) {
  const more = these.slice(most);
  return more.length ? [...these.slice(0, most), el("details", { class: "more", open }, el("summary", {}, `${number(more.length)} more ${what}`), more)] : these;
}

/** Dollars with enough digits to see small amounts. */
export function usd(amount) {
  return `$${amount === 0 ? "0" : amount >= 100 ? amount.toFixed(2) : amount >= 0.01 ? amount.toFixed(4) : amount.toFixed(6)}`;
}

/** A limit as it was set. */
export const limit = (amount) => `$${amount.toLocaleString("en", { useGrouping: false, maximumFractionDigits: 9 })}`;

export const number = (value) => value.toLocaleString("en");
export const counted = (value, one, several = `${one}s`) => `${number(value)} ${value === 1 ? one : several}`;

/** Seconds as short as they can be said. */
export const duration = (seconds) => (seconds < 1 ? `${+(1000 * seconds).toPrecision(3)} ms` : `${+seconds.toPrecision(3)} s`);

/** A share in percent; what is there is never 0 %, and what is not all never 100 %. */
export function percent(part, whole) {
  const share = (100 * part) / whole;
  if (part > 0 && share < 1) return "<1 %";
  if (part < whole && share > 99) return ">99 %";
  return `${Math.round(share)} %`;
}
