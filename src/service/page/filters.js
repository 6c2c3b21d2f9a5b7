// Which assets are shown: states as chips with counts, the rest as choices.

import { go, onAddress, read } from "./address.js";
import { h, set, write } from "./dom.js";
import { icon, shape } from "./icons.js";
import { KINDS, number, onDay, STATES } from "./words.js";

const SORTS = [
  ["", "By path"],
  ["expires", "Ending first"],
  ["uploaded", "Newest first"],
  ["size", "Largest first"],
];
const LAYOUTS = [
  ["", "As pictures", "library"],
  ["list", "As a list", "list"],
];

/** The bar of filters; `counted(counts)` brings the numbers. */
export function filters(session) {
  const chips = new Map([["", chip("", "All", null)]]);
  for (const [name, words] of STATES) chips.set(name, chip(name, words, shape(name)));
  const day = h("button", {
    class: "chip",
    "aria-pressed": "true",
    onclick: () => go({ expires: "", sort: "" }),
  });
  const picks = [pick("kind", "Kind", [["", "All kinds"], ...KINDS]), pick("sort", "Order", SORTS)];
  if (session.pages.length > 1)
    picks.unshift(pick("page", "Page", [["", "All Pages"], ...session.pages.map(({ id, name }) => [id, name])]));

  const layouts = LAYOUTS.map(([name, words, sign]) =>
    h(
      "button",
      {
        class: "button square",
        "aria-label": words,
        title: words,
        onclick: () => go({ layout: name }),
      },
      icon(sign),
    ),
  );

  let moved = false;
  const follow = (address) => {
    moved = true;
    for (const [name, element] of chips) set(element, "aria-pressed", String(address.state === name));
    day.hidden = !address.expires;
    if (address.expires) day.replaceChildren(icon("calendar"), `Ends ${onDay(address.expires)}`, icon("close"));
    set(day, "aria-label", address.expires ? `Ends ${onDay(address.expires)}: show all days` : null);
    for (const select of picks) select.value = address[select.name];
    for (const [place, [name]] of LAYOUTS.entries())
      set(layouts[place], "aria-pressed", String(address.layout === name));
  };
  onAddress(follow);
  follow(read());

  const element = h(
    "div",
    { class: "filters", role: "group", "aria-label": "Filters" },
    h("div", { class: "chips" }, day, [...chips.values()]),
    h(
      "div",
      { class: "picks" },
      picks,
      h("div", { class: "segments", role: "group", "aria-label": "Layout" }, layouts),
    ),
  );
  const counted = (counts) => {
    let all = 0;
    for (const [name] of STATES) {
      all += counts[name] ?? 0;
      write(chips.get(name).lastChild, number(counts[name]));
    }
    write(chips.get("").lastChild, number(all));
    element.classList.add("counted");
    // Only now is it known how wide they are.
    if (moved) chips.get(read().state)?.scrollIntoView({ block: "nearest", inline: "nearest" });
    moved = false;
  };
  return { element, counted };
}

function chip(name, words, sign) {
  const press = () => go({ state: read().state === name ? "" : name });
  return h(
    "button",
    { class: "chip", "data-state": name || null, onclick: press },
    sign,
    words,
    h("span", { class: "count" }, "–"),
  );
}

function pick(name, label, options) {
  const choose = (event) => go({ [name]: event.target.value });
  return h(
    "select",
    { class: "pick", name, "aria-label": label, onchange: choose },
    options.map(([value, words]) => h("option", { value }, words)),
  );
}
