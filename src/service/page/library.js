// The library: filters, the grid, and the opened asset beside it.

import { go, marked, onAddress, read, replace } from "./address.js";
import { idOf } from "./cell.js";
import { copy } from "./copy.js";
import { Detail } from "./detail.js";
import { h, settled } from "./dom.js";
import { filters } from "./filters.js";
import { Grid } from "./grid.js";
import { empty, icon } from "./icons.js";
import { Rows } from "./rows.js";
import { announce, complain } from "./tell.js";
import { counted } from "./words.js";

const ASKED = ["q", "state", "kind", "page", "expires", "sort"];

/** The view of all assets. */
export function library(session, uploads) {
  const rows = new Rows();
  const bar = filters(session);
  const look = settled(120, (asset) => replace({ asset: idOf(asset) }));
  const grid = new Grid(rows, {
    open(asset) {
      // Refused unread: there is nothing to open.
      if (!idOf(asset)) return asset.problems.forEach(complain);
      return read().asset ? replace({ asset: idOf(asset) }) : go({ asset: idOf(asset) }, "opened");
    },
    copy: (asset) => asset.attachment_id && void copy(asset.attachment_id, `the id of ${asset.name}`),
    look: (asset) => read().asset && look(asset),
  });
  const detail = new Detail(session, { close: () => close(grid) });
  const nothing = h("div", { hidden: true });
  const element = h(
    "div",
    { class: "library" },
    h("h1", { class: "unseen" }, "Library"),
    bar.element,
    grid.element,
    detail.element,
  );
  grid.element.append(nothing);

  const answered = () => {
    bar.counted(rows.counts);
    nothing.hidden = rows.total > 0;
    if (!rows.total) nothing.replaceChildren(teach(session, uploads));
  };
  rows.addEventListener("changed", answered);
  rows.addEventListener("fresh", () => {
    answered();
    announce(counted(rows.total, "asset"));
  });
  rows.addEventListener("failed", ({ detail: problem }) => complain(problem));

  let asked = null;
  const follow = (address) => {
    if (address.view) return;
    const question = Object.fromEntries(ASKED.map((name) => [name, address[name]]));
    if (JSON.stringify(question) !== asked) {
      asked = JSON.stringify(question);
      rows.ask(question);
    }
    grid.layout(address.layout);
    grid.select(address.asset);
    detail.show(address.asset);
  };
  onAddress(follow);
  follow(read());

  return {
    element,
    title: () => (read().asset && detail.name) || "Library",
    close: () => detail.close(),
    refresh() {
      if (asked) rows.refresh();
      detail.refresh();
    },
  };
}

/** Back to where the asset was opened from, if that is a step ago. */
function close(grid) {
  if (marked() === "opened") history.back();
  else replace({ asset: "" });
  grid.focus();
}

/** What an empty grid says: how to fill it, or how to see more. */
function teach(session, uploads) {
  const asked = read();
  if (ASKED.some((name) => name !== "sort" && asked[name])) {
    const clear = () => go(Object.fromEntries(ASKED.map((name) => [name, ""])));
    return empty(
      "search",
      asked.q ? `Nothing matches “${asked.q}”` : "Nothing matches these filters",
      h("p", null, "The search knows names, paths, aliases, attachment ids, and how a hash begins."),
      h("button", { class: "button", onclick: clear }, "Show everything"),
    );
  }
  if (!session.folders.length) {
    return empty(
      "folder",
      "No folder to look into",
      h("p", null, "Start the service with the folder your pictures are in:"),
      h("code", { class: "command" }, "reattach serve --library FOLDER"),
    );
  }
  return empty(
    "image",
    "Nothing here yet",
    h("p", null, "Drop files anywhere on this page, or upload a whole folder from the terminal:"),
    h("code", { class: "command" }, `reattach sync ${session.folders[0].name}`),
    uploads && h("button", { class: "button main", onclick: uploads.choose }, icon("upload"), "Choose files"),
  );
}
