// The bar: views, search, tools.

import { go, onAddress, only, read, replace } from "./address.js";
import { h, set, settled } from "./dom.js";
import { ask } from "./dialog.js";
import { icon } from "./icons.js";
import { announce } from "./tell.js";

const VIEWS = [
  ["", "Library", "library"],
  ["expiry", "Expiry", "calendar"],
  ["duplicates", "Duplicates", "duplicates"],
  ["campaigns", "Campaigns", "campaigns"],
];
const KEYS = [
  [["/"], "Search"],
  [["←", "→", "↑", "↓"], "Move among assets"],
  [["Home", "End"], "First and last asset"],
  [["Enter"], "Open"],
  [["Esc"], "Close, or leave the search"],
  [["c"], "Copy the id"],
  [["u"], "Upload files"],
  [["?"], "These keys"],
];

/** Fills the bar for somebody who is signed in. */
export function header({ uploads, leave, version }) {
  const links = VIEWS.map(([name, words, sign]) =>
    h("a", { href: only({ view: name }), "data-view": name }, icon(sign), words),
  );
  const field = h("input", {
    type: "search",
    "aria-label": "Search assets",
    placeholder: matchMedia("(max-width: 560px)").matches ? "Search" : "Search name, alias, id or hash",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 200,
  });
  field.id = "search-field";
  let typing = false;
  const search = settled(160, () => {
    typing = false;
    const q = field.value.trim();
    const { view, q: before } = read();
    if (view) go({ view: "", campaign: "", page: "", q });
    else if (q && before) replace({ q });
    else go({ q });
  });
  field.addEventListener("input", () => {
    typing = true;
    search();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") search.now();
    if (event.key === "Escape" && !field.value) field.blur();
    if (event.key === "ArrowDown") document.querySelector(".canvas [tabindex='0']")?.focus();
  });

  const upload =
    uploads &&
    h(
      "button",
      { class: "button main", "aria-label": "Upload files", onclick: uploads.choose },
      icon("upload"),
      h("span", { class: "word" }, "Upload"),
    );
  const tool = (id, label, sign, onclick) =>
    h("button", { id, class: "button plain square", "aria-label": label, title: label, onclick }, icon(sign));
  document.getElementById("views").replaceChildren(...links);
  document.getElementById("search").replaceChildren(field, icon("search"), h("kbd", { "aria-hidden": "true" }, "/"));
  document
    .getElementById("tools")
    .replaceChildren(
      ...[
        upload,
        tool("scheme", "Light or dark", "scheme", otherScheme),
        tool("keys", "Keys", "keys", () => void keys(version)),
        tool("leave", "Sign out", "leave", leave),
      ].filter(Boolean),
    );

  const follow = ({ view, q }) => {
    for (const anchor of links) set(anchor, "aria-current", anchor.dataset.view === view ? "page" : null);
    if (!typing && field.value.trim() !== q) field.value = q;
  };
  onAddress(follow);
  follow(read());
  return { search: () => field.select() };
}

/** An empty bar, for somebody who is not. */
export function noHeader() {
  for (const id of ["views", "search", "tools"]) document.getElementById(id).replaceChildren();
}

export function keys(version) {
  const list = KEYS.flatMap(([names, words]) => [
    h(
      "dt",
      null,
      names.map((name) => h("kbd", null, name)),
    ),
    h("dd", null, words),
  ]);
  return ask(
    "Keys",
    [h("dl", { class: "keys" }, list), h("p", { class: "quiet" }, `reattach ${version}`)],
    [{ text: "Close", value: "", focus: true }],
  );
}

/** Changes between light and dark. What the system has anyway is no choice, and is not kept as one. */
function otherScheme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const wanted = (root.dataset.scheme ?? system) === "dark" ? "light" : "dark";
  if (wanted === system) delete root.dataset.scheme;
  else root.dataset.scheme = wanted;
  try {
    if (wanted === system) localStorage.removeItem("scheme");
    else localStorage.setItem("scheme", wanted);
  } catch {
    // It lasts as long as this page, then.
  }
  announce(`${wanted} colours`);
}
