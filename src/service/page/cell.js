// One asset in the grid. Cells are filled again and again, so they touch only what differs.

import { line } from "./api.js";
import { h, set, write } from "./dom.js";
import { glyph, icon, shape } from "./icons.js";
import { dimensions, size, standing } from "./words.js";

// Of more pixels no small picture is made.
const MOST_PIXELS = 50_000_000;
// Longer names are cut in the middle, for of siblings it is the end that differs: so much of it stays.
const LONG = 24;
const END = 11;
const pictureless = new Set();
// Pictures that were here once are here at once.
const seen = new Set();
const parts = new WeakMap();
// It may have been the service that was away.
line.addEventListener("back", () => pictureless.clear());

/** What an asset goes by in the address bar. */
export const idOf = (asset) => asset.sha256 ?? asset.url ?? "";

/** A cell with nothing in it yet. */
export function makeCell() {
  const image = h("img", { alt: "", decoding: "async", draggable: "false", hidden: true });
  const picture = h("div", { class: "picture" }, image);
  const button = h(
    "button",
    {
      class: "button square small copy",
      tabindex: "-1",
      "aria-hidden": "true",
      title: "Copy the id (c)",
    },
    icon("copy"),
  );
  const stands = h("span");
  const state = h("span", { class: "state" }, shape(""), stands);
  const more = h("span", { class: "more" });
  const name = h("span");
  const cut = h("span", { class: "cut", "aria-hidden": "true", hidden: true }, h("span"), h("span"));
  const kind = h("span", { class: "unseen" });
  const where = h("span", { class: "where" });
  const cell = h(
    "div",
    { class: "cell", role: "gridcell", tabindex: "-1" },
    picture,
    h("div", { class: "name" }, name, cut, kind, where),
    h("div", { class: "meta" }, state, more),
    button,
  );
  image.addEventListener("load", () => seen.add(parts.get(cell).shown));
  image.addEventListener("error", () => {
    const filled = parts.get(cell);
    if (!image.getAttribute("src")) return;
    pictureless.add(filled.asset.sha256);
    showPicture(filled, filled.asset, true);
  });
  parts.set(cell, {
    image,
    picture,
    button,
    name,
    cut,
    kind,
    where,
    state,
    stands,
    more,
    asset: undefined,
    fresh: true,
    shown: "",
    mark: "",
  });
  return cell;
}

/** Puts an asset into a cell; `undefined` for one that is to come. `settled`: is the grid slow enough for pictures? */
export function fillCell(cell, asset, { settled, selected }) {
  const filled = parts.get(cell);
  set(cell, "aria-selected", String(Boolean(selected)));
  if (filled.asset !== asset || filled.fresh) {
    filled.asset = asset;
    filled.fresh = false;
    set(cell, "aria-busy", asset ? null : "true");
    set(filled.button, "hidden", !asset?.attachment_id);
    if (asset) describe(cell, filled, asset);
    else blank(cell, filled);
  }
  showPicture(filled, asset, settled);
}

export const assetIn = (cell) => parts.get(cell)?.asset;

function blank(cell, filled) {
  set(cell, "data-state", null);
  write(filled.kind, "Loading");
  showName(filled, "");
  for (const part of [filled.where, filled.stands, filled.more]) write(part, "");
  filled.mark = "";
}

function describe(cell, filled, asset) {
  const name = asset.name ?? asset.path ?? asset.url;
  const stands = standing(asset);
  if (cell.dataset.state !== asset.state) filled.state.firstChild.replaceWith(shape(asset.state));
  set(cell, "data-state", asset.state);
  write(filled.kind, `, ${asset.kind}, `);
  set(filled.name.parentNode, "title", asset.path ?? asset.url);
  write(filled.where, asset.path ?? asset.url ?? "");
  showName(filled, name);
  write(filled.stands, stands);
  const [alias, extent] = [asset.aliases?.[0], dimensions(asset)];
  filled.more.replaceChildren(
    alias ? `@${alias}` : extent || size(asset.size_bytes),
    h(
      "span",
      { class: "bytes" },
      [alias && extent, (alias || extent) && size(asset.size_bytes)]
        .filter(Boolean)
        .map((words) => ` · ${words}`)
        .join(""),
    ),
  );
}

/** The name as a whole, for those who listen as well; what is seen of a long one is its beginning and its end. */
function showName({ name, cut }, words) {
  const letters = [...words];
  const long = letters.length > LONG;
  write(name, words);
  set(name, "class", long ? "unseen" : null);
  cut.hidden = !long;
  write(cut.firstChild, long ? letters.slice(0, -END).join("") : "");
  write(cut.lastChild, long ? letters.slice(-END).join("") : "");
}

function showPicture(filled, asset, settled) {
  const has = Boolean(
    asset?.thumbnail &&
    asset.sha256 &&
    !pictureless.has(asset.sha256) &&
    (asset.width ?? 0) * (asset.height ?? 0) <= MOST_PIXELS,
  );
  const address = has ? `/v1/assets/${asset.sha256}/thumbnail` : "";
  const source = settled || seen.has(address) || filled.shown === address ? address : "";
  if (source !== filled.shown && (source || !has || filled.shown)) {
    filled.shown = source;
    filled.image.hidden = !source;
    set(filled.image, "src", source || null);
    if (source) set(filled.image, "class", crops(asset) ? "fill" : null);
  }
  const mark = !asset ? "" : `${has}/${asset.state}/${asset.kind}/${asset.name}`;
  if (mark === filled.mark) return;
  filled.mark = mark;
  while (filled.picture.children.length > 1) filled.picture.lastChild.remove();
  if (asset && !has) filled.picture.append(glyph(asset.kind, asset.name ?? ""));
  if (asset && asset.state !== "live") filled.picture.append(h("span", { class: "corner" }, shape(asset.state)));
  if (has && /\.gif$/i.test(asset.name ?? ""))
    filled.picture.append(h("span", { class: "kindmark", "aria-hidden": "true" }, "GIF"));
}

/** Whether a picture may fill its box: only if little of it is lost. */
function crops({ width, height }) {
  return width && height ? width / height > 1.18 && width / height < 1.55 : false;
}
