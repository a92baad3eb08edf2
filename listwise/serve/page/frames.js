/* What a ranking looked like at each moment, made of the events of `POST /try`. Passages are places in the request. */

/** The frames of one ranking: as given, as the local model had it, each step of the LLM's, the result. */
export class Frames {
  constructor(count) {
    const given = [...Array(count).keys()];
    this.all = [{ kind: "given", name: "As given", before: given, order: given, windows: [] }];
  }

  get last() { return this.all.at(-1); }

  /** How many of the windows that were asked last have been read; models that passed one on do not count. */
  get read() { return new Set(this.last.windows.map((each) => `${each.sample} ${each.shown}`)).size; }

  /** Takes an event; says in words what it brought. */
  take(event) {
    switch (event.event) {
      case "step": return this.#step(event);
      case "window": return this.#window(event);
      case "ranked": return this.#ranked(event);
      default: return this.#ended();
    }
  }

  #step({ step, order, windows }) {
    this.#close(order);
    if (this.last.kind === "given" && differs(this.last.order, order)) {
      this.all.push({ kind: "local", name: "Before the LLM", before: this.last.order, order, windows: [] });
    }
    this.all.push({ kind: "step", name: String(step + 1), step, before: order, order, asked: windows, windows: [], pending: true });
    return `Step ${step + 1}: the LLM reads ${windows.length === 1 ? `${windows[0].length} passages` : `${windows.length} windows at once`}.`;
  }

  #window(event) {
    const { asked, windows } = this.last;
    windows.push(event);
    if (asked.length > 1) return `Step ${event.step + 1}: ${this.read} of ${asked.length} windows were read.`;
    if (event.answered === null) return `Step ${event.step + 1}: a window keeps its order: ${event.error}.`;
    return `Step ${event.step + 1}: a window was read, ${moved(event)} of ${event.shown.length} passages moved.`;
  }

  #ranked(event) {
    const order = event.results.map((each) => each.index);
    this.#close(order);
    const scores = new Map(event.results.map((each) => [each.index, each.relevance_score]));
    this.all.push({ kind: "result", name: "Result", before: this.all[0].order, order, scores, windows: [], kindOfScore: event.listwise.score_type, words: event.words });
    return `Done: ${event.words[0].text}.`;
  }

  #ended() {
    this.last.pending = false;
    return "";
  }

  /** A step is over once the next order is known; one that was cut short changed nothing. */
  #close(order) {
    const frame = this.last;
    if (!frame.pending) return;
    frame.pending = false;
    if (frame.windows.length) frame.order = order;
  }
}

/** How many passages an answer put in another place than they were shown in. */
export const moved = ({ shown, answered }) => answered.filter((each, at) => each !== shown[at]).length;

const differs = (one, other) => one.some((each, at) => each !== other[at]);
