// What is shown lives in the address bar: it can be shared, kept, and gone back from.

const NAMES = ["view", "q", "state", "kind", "page", "expires", "sort", "layout", "asset", "campaign"];
// The library is none of them, and what is shown for any other.
const VIEWS = ["expiry", "duplicates", "campaigns"];
const listeners = new Set();

/** What the address says; what it does not say is "". */
export function read() {
  const query = new URLSearchParams(location.search);
  if (!VIEWS.includes(query.get("view"))) query.delete("view");
  if (query.get("layout") !== "list") query.delete("layout");
  if (!isDate(query.get("expires"))) query.delete("expires");
  return Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
}

/** Whether it is a day, or a month: `2026-12-01`, `2026-12`. */
function isDate(text) {
  if (!/^\d{4}-\d\d(-\d\d)?$/.test(text)) return false;
  const date = new Date(text);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

/** The link to what is shown now, with some of it changed. */
export function link(changes) {
  const query = new URLSearchParams();
  const wanted = { ...read(), ...changes };
  for (const name of NAMES) if (wanted[name]) query.set(name, wanted[name]);
  return query.size ? `/?${query}` : "/";
}

/** Nothing but one view. */
export const only = (changes) => link({ ...Object.fromEntries(NAMES.map((name) => [name, ""])), ...changes });

/** Shows something else, and leaves a step to go back to. `mark` comes back from `marked`. */
export function go(changes, mark = null) {
  const wanted = link(changes);
  if (wanted === location.pathname + location.search) return;
  history.pushState(mark, "", wanted);
  tell();
}

/** Shows something else in place of what is shown. */
export function replace(changes) {
  history.replaceState(history.state, "", link(changes));
  tell();
}

/** Follows a link of this page's own. */
export function follow(href) {
  if (href !== location.pathname + location.search) history.pushState(null, "", href);
  tell();
}

export const marked = () => history.state;

/** Calls back with each new address. */
export function onAddress(listener) {
  listeners.add(listener);
}

function tell() {
  const now = read();
  for (const listener of listeners) listener(now);
}

addEventListener("popstate", tell);
