// What the service says on its own: one stream for the whole page.

import { call, line, proof } from "./api.js";

const AGAIN = 3000;
// What was missed comes at once, within this.
const CATCHING_UP = 1000;
const LONGEST_WAIT = 15_000;

/** Hands each event to `on(name, data)` while the page is looked at. What was missed while it was not, or while the line was
 * down, comes as `reset`. */
export function listen(on) {
  let last = "";
  let stream = null;
  let timer = 0;
  let missing = false;
  let caughtUp = 0;
  // Not an EventSource, which can show no proof.
  const open = async () => {
    const mine = new AbortController();
    stream = mine;
    try {
      const seen = last ? { "last-event-id": last } : {};
      const response = await fetch("/v1/events", { headers: { ...proof(), ...seen }, signal: mine.signal });
      if (response.ok) {
        if (missing) caughtUp = performance.now() + CATCHING_UP;
        if (missing && !last) on("reset", {});
        missing = false;
        await each(response.body.getReader(), told);
      }
    } catch {
      // Whatever ended it, it is found out next whether anybody is there.
    }
    if (stream === mine) await call("/v1/session").catch(() => {});
    if (stream === mine) timer = setTimeout(open, AGAIN);
  };
  const told = ({ id, event, data }) => {
    last = id ?? last;
    if (!event) return;
    // An hour of a campaign is fetched as it stands: played back, it would all be of this moment.
    if (performance.now() < caughtUp) on("reset", {});
    else on(event, parsed(data));
  };
  // A browser has six connections for all its windows: those that nobody looks at keep none.
  const close = () => {
    clearTimeout(timer);
    stream?.abort();
    stream = null;
    missing = true;
  };
  const attend = () => {
    if (document.hidden) close();
    else if (!stream) void open();
  };
  document.addEventListener("visibilitychange", attend);
  // One that was left and is kept for the way back is none to look at either.
  addEventListener("pagehide", close);
  addEventListener("pageshow", attend);
  attend();
  line.addEventListener("back", () => on("reset", {}));
}

/** Hands on the fields of each event in a stream. */
async function each(reader, on) {
  const decoder = new TextDecoder();
  let text = "";
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    const events = (text + decoder.decode(value, { stream: true })).split("\n\n");
    text = events.pop();
    for (const event of events) on(Object.fromEntries(event.split("\n").map(field)));
  }
}

function field(line) {
  const [name] = line.split(":", 1);
  return [name, line.slice(name.length + 1).trimStart()];
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
