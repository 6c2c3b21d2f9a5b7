// The matching assets, however many: windows of them by offset, fetched when they come into sight.

import { call, query } from "./api.js";

const WINDOW = 48;
const KEPT = 40;

/** Fires `changed` (rows came), `fresh` (another question was answered) and `failed`. */
export class Rows extends EventTarget {
  /** How many match, and how many of them are in which state; null until the first answer. */
  total = null;
  counts = null;
  #question = {};
  #windows = new Map();
  #asked = new Map();
  #fresh = false;
  #seen = [0, 0];

  /** Asks another question. What is shown stays until its first rows are here. */
  ask(question) {
    this.#forget();
    this.#question = question;
    this.#fresh = true;
    void this.#fetch(0);
  }

  /** Fetches again what is in sight, and forgets the rest. */
  refresh() {
    if (this.#fresh) return this.ask(this.#question);
    this.#forget();
    const [first, last] = this.#seen;
    for (const number of this.#windows.keys()) if (number < first || number > last) this.#windows.delete(number);
    for (let number = first; number <= last; number += 1) void this.#fetch(number);
  }

  /** The asset at `index`, if it is here. */
  at(index) {
    return this.#windows.get(Math.floor(index / WINDOW))?.[index % WINDOW];
  }

  /** Sees to it that the rows from `first` to `last` come; those nobody looks at any more need not. */
  want(first, last) {
    if (this.#fresh) return;
    this.#seen = [Math.floor(first / WINDOW), Math.floor(last / WINDOW)];
    const [from, to] = this.#seen;
    for (const [number, { stop }] of this.#asked) if (number < from || number > to) stop.abort();
    for (let number = from; number <= to; number += 1) {
      if (!this.#windows.has(number) && !this.#asked.has(number)) void this.#fetch(number);
    }
    for (const number of this.#windows.keys()) {
      if (this.#windows.size <= KEPT) break;
      if (number < from || number > to) this.#windows.delete(number);
    }
  }

  #forget() {
    for (const { stop } of this.#asked.values()) stop.abort();
    this.#asked.clear();
  }

  async #fetch(number) {
    const mine = { stop: new AbortController() };
    this.#asked.set(number, mine);
    try {
      const fields = { ...this.#question, offset: number * WINDOW || "", limit: WINDOW };
      const answer = await call(`/v1/assets${query(fields)}`, { signal: mine.stop.signal });
      if (this.#asked.get(number) === mine) this.#take(number, answer);
    } catch (problem) {
      if (problem.name !== "AbortError") this.dispatchEvent(new CustomEvent("failed", { detail: problem }));
    } finally {
      if (this.#asked.get(number) === mine) this.#asked.delete(number);
    }
  }

  #take(number, { assets, total, counts }) {
    const fresh = this.#fresh;
    if (fresh) {
      this.#windows.clear();
      this.#seen = [0, 0];
      this.#fresh = false;
    }
    this.#windows.set(number, assets);
    Object.assign(this, { total, counts });
    this.dispatchEvent(new Event(fresh ? "fresh" : "changed"));
  }
}
