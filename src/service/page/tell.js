// What is said in passing: on the screen for those who see, aloud for those who listen.

import { h } from "./dom.js";
import { told } from "./words.js";

const said = document.getElementById("said");
const toasts = document.getElementById("toasts");

/** Says something aloud only. */
export function announce(text) {
  // The same words twice are heard twice only if they change in between.
  said.textContent = said.textContent === text ? `${text}\u00a0` : text;
}

/** Says something to everybody, for some seconds. */
export function tell(text, { bad = false } = {}) {
  announce(text);
  const toast = h("div", { class: bad ? "toast bad" : "toast" }, text);
  toasts.append(toast);
  while (toasts.children.length > 3) toasts.firstChild.remove();
  setTimeout(() => toast.remove(), bad ? 8000 : 2600);
}

/** Says what went wrong, and what to do about it. */
export function complain(problem) {
  if (problem.name === "AbortError" || problem.status === 401 || problem.status === 0) return;
  tell(told(problem), { bad: true });
}
