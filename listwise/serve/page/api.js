/* What is asked of the service. The key, where one is needed, is kept by this tab alone. */

const PLACE = "listwise-key";
let key = null;
try { key = sessionStorage.getItem(PLACE); } catch { /* then in memory only */ }

export const keysNeeded = "keys" in document.documentElement.dataset;
export const hasKey = () => !keysNeeded || key !== null;

export function keep(text) {
  key = text;
  try { sessionStorage.setItem(PLACE, text); } catch { /* in memory */ }
}

export function forget() {
  key = null;
  try { sessionStorage.removeItem(PLACE); } catch { /* there was none */ }
}

/** What the service said no to; `status` 0 is no answer at all. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(key === null ? {} : { authorization: `Bearer ${key}` }) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "the service does not answer");
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  const wait = answer.headers.get("retry-after");
  throw new Refused(answer.status, (body.message ?? `status ${answer.status}`) + (wait ? ` (in ${wait} s)` : ""));
}

export const get = async (path) => (await ask(path)).json();

/** Events of a ranking, a JSON object a line, as they come. */
export async function* rank(body, signal) {
  const answer = await ask("/try", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, "the connection was lost");
    }
    if (part.done) return;
    const lines = (text + part.value).split("\n");
    text = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}
