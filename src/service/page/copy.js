// One click, and it is in the clipboard.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { tell } from "./tell.js";

/** Puts `text` into the clipboard and says so: `what` is what it is. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure address or a permission there is still the old way.
    const area = h("textarea", { class: "unseen", "aria-hidden": "true" }, text);
    const had = document.activeElement;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    had?.focus({ preventScroll: true });
    if (!done) return tell("The browser does not let this page copy", { bad: true });
  }
  tell(`Copied ${what}`);
}

/** The button for that. */
export function copyButton(text, what, { words = null } = {}) {
  const classes = words ? "button small" : "button square small";
  const button = h(
    "button",
    { class: classes, "aria-label": words ? null : `Copy ${what}`, title: `Copy ${what}` },
    icon("copy"),
    words,
  );
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    void copy(text, what);
    button.firstChild.replaceWith(icon("done"));
    setTimeout(() => button.firstChild.replaceWith(icon("copy")), 1200);
  });
  return button;
}
