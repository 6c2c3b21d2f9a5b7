// The same bytes under several names.

import { only } from "./address.js";
import { call } from "./api.js";
import { h } from "./dom.js";
import { empty, glyph } from "./icons.js";
import { counted, lastPart, number, size } from "./words.js";

const AT_ONCE = 100;
// Of a group's paths.
const FEW = 6;

/** The view of duplicates. */
export function duplicates() {
  const list = h("ul", { class: "stack" });
  const head = h("p");
  const more = h("button", { class: "button", hidden: true, onclick: () => show(shown + AT_ONCE) }, "Show more");
  const element = h(
    "div",
    { class: "page" },
    h("header", null, h("h1", null, "Duplicates"), head),
    list,
    h("p", null, more),
  );
  let groups = [];
  let shown = AT_ONCE;
  let drawn = "";

  const show = (count) => {
    shown = count;
    list.replaceChildren(...groups.slice(0, shown).map(group));
    more.hidden = groups.length <= shown;
  };
  const refresh = async () => {
    const answer = await call("/v1/duplicates");
    const text = JSON.stringify(answer);
    // What somebody has unfolded stays so.
    if (text === drawn) return;
    drawn = text;
    groups = answer.groups;
    head.textContent = groups.length
      ? `${counted(groups.length, "asset")} kept more than once: ${size(answer.wasted_bytes)} on the disk for nothing. To Meta each goes once, and all copies share one id.`
      : "";
    if (groups.length) show(shown);
    else
      list.replaceChildren(
        h(
          "li",
          null,
          empty(
            "duplicates",
            "No file is kept twice",
            "Copies under other names would be listed here. They cost disk, never an upload: ids belong to bytes.",
          ),
        ),
      );
  };
  return { element, title: () => "Duplicates", refresh };
}

function group({ sha256, size_bytes: bytes, copies, wasted_bytes: wasted, paths }) {
  const picture = h("div", { class: "picture" }, glyph(kindOf(paths[0]), paths[0]));
  if (kindOf(paths[0]) === "image") {
    const image = h("img", { alt: "", src: `/v1/assets/${sha256}/thumbnail`, loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => image.remove());
    image.addEventListener("load", () => picture.firstChild !== image && picture.firstChild.remove());
    picture.append(image);
  }
  const open = h("a", { href: only({ asset: sha256 }) }, lastPart(paths[0]));
  const listed = (some) =>
    h(
      "ul",
      null,
      some.map((path) => h("li", null, path)),
    );
  const few = paths.length > FEW + 1 ? FEW : paths.length;
  const rest = paths.slice(few);
  return h(
    "li",
    { class: "card double" },
    picture,
    h(
      "div",
      null,
      h("h2", null, open),
      listed(paths.slice(0, few)),
      rest.length > 0 && h("details", null, h("summary", null, `and ${number(rest.length)} more`), listed(rest)),
    ),
    h(
      "div",
      { class: "waste" },
      h("b", null, size(wasted)),
      h("div", { class: "quiet" }, `${copies} × ${size(bytes)}`),
    ),
  );
}

/** By its name, for a glyph: that is all there is to go by. */
function kindOf(path) {
  const end = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (["jpg", "jpeg", "png", "gif", "webp", "bmp", "tiff"].includes(end)) return "image";
  return { mp4: "video", mov: "video", mp3: "audio", m4a: "audio", wav: "audio" }[end] ?? "file";
}
