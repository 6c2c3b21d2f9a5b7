// What the service says on its own: one stream for the whole page.

import { call, line } from "./api.js";

const AGAIN = 3000;
const LONGEST_WAIT = 15_000;
const NAMES = ["asset", "campaign", "library", "reset"];

/** Hands each event to `on(name, data)`, for ever. What was missed while the line was down comes as `reset`. */
export function listen(on) {
  let source = null;
  const open = () => {
    source?.close();
    source = new EventSource("/v1/events");
    for (const name of NAMES) source.addEventListener(name, ({ data }) => on(name, parsed(data)));
    source.addEventListener("error", broken);
  };
  // The browser comes back by itself, with the id it saw last, but for a refusal. Then it is found out why.
  const broken = () => {
    void call("/v1/session").catch(() => {});
    if (source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN);
  };
  open();
  line.addEventListener("back", () => on("reset", {}));
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return {};
  }
}

/** While the service is away, asks whether it is back: soon, then less often. */
export function untilBack() {
  let wait = 1000;
  let timer = 0;
  const ask = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
    wait = Math.min(wait * 2, LONGEST_WAIT);
    void call("/healthz").catch(() => {});
  };
  line.addEventListener("back", () => clearTimeout(timer), { once: true });
  timer = setTimeout(ask, wait);
  return ask;
}

/** At most one `run` at a time and per `ms`, and one after the last wish. */
export function throttled(ms, run) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      run();
    }, ms);
  };
}
