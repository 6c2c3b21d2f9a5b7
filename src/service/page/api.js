// The one place that speaks to the service.

/** What became of the line to the service: `away`, `back`, `out` (not signed in). */
export const line = new EventTarget();
// The service gives up first, and says so; longer than this nobody has heard the question.
const PATIENCE = 40_000;
let away = false;
let csrf = "";
const CROWDED =
  "a browser has few connections for all its windows: where many show this page side by side, close one of them";

/** A refusal in the service's words. */
export class Problem extends Error {
  constructor(answer) {
    super(answer.detail || answer.title || "the service refused");
    Object.assign(this, answer);
  }
}

/** The proof that it is this page that asks. */
export function remember(word) {
  csrf = word;
}

export const proof = () => (csrf ? { "X-Reattach-CSRF": csrf } : {});

/** The JSON the service answers with; throws a `Problem`, or an `AbortError` when `signal` said so. What only looks is given
 * up after `patience` milliseconds. */
export async function call(path, { method = "GET", body, headers, signal, patience = PATIENCE } = {}) {
  const sent = { accept: "application/json", ...proof(), ...headers };
  if (body !== undefined) sent["content-type"] = "application/json";
  const ends = [signal, method === "GET" && AbortSignal.timeout(patience)].filter(Boolean);
  let response, text;
  try {
    response = await fetch(path, {
      method,
      headers: sent,
      signal: AbortSignal.any(ends),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    lost();
    const hint = error.name === "TimeoutError" ? CROWDED : "is `reattach serve` still running?";
    throw new Problem({ title: "the service does not answer", status: 0, hint });
  }
  found();
  return answered(response.status, text);
}

/** What an answer's text holds. */
export function answered(status, text) {
  let value = {};
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    value = { title: `the service answered ${status}` };
  }
  if (status >= 200 && status < 300) return value;
  if (status === 401) line.dispatchEvent(new Event("out"));
  throw new Problem({ title: `the service answered ${status}`, ...value, status });
}

/** Says that nobody answered. */
export function lost() {
  if (away) return;
  away = true;
  line.dispatchEvent(new Event("away"));
}

function found() {
  if (!away) return;
  away = false;
  line.dispatchEvent(new Event("back"));
}

/** `{a: "b", c: ""}` as `?a=b`. */
export function query(fields) {
  const pairs = Object.entries(fields).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}
