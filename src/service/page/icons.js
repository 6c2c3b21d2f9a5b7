// Every picture the page draws itself, as paths on a square of 24.

import { h, s } from "./dom.js";

const PATHS = {
  library: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
  calendar: "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4",
  duplicates: "M8 8h12v12H8zM16 8V4H4v12h4",
  campaigns: "M4 10v4h3l8 5V5l-8 5zM18.5 9a4 4 0 0 1 0 6",
  list: "M4 6h16M4 12h16M4 18h16",
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M15.5 15.5 20 20",
  upload: "M12 16V4M7 9l5-5 5 5M4 16v4h16v-4",
  scheme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  keys: "M9.2 9a3 3 0 1 1 4 2.9c-.8.4-1.2 1-1.2 2.1M12 17.5v.1",
  leave: "M14 4h6v16h-6M10 8l-4 4 4 4M6 12h9",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  done: "M5 12.5 10 17.5 19.5 7",
  back: "M14.5 6l-6 6 6 6",
  open: "M13 4h7v7M20 4l-9 9M9 5H4v15h15v-5",
  renew: "M20 12a8 8 0 1 1-2.4-5.7M20 3v4.5h-4.5",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.5v15l12.5-7.5z",
  image: "M3 5h18v14H3zM3 16l5-5 4 4 3-3 6 5M15.5 9.5v.1",
  video: "M3 5h18v14H3zM10 9v6l5-3z",
  audio: "M9 18V6l11-2v12M9 18a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0M20 16a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0",
  file: "M6 3h8l5 5v13H6zM14 3v5h5M9 13h7M9 17h5",
  folder: "M3 6h7l2 2.5h9V19H3z",
};

// States differ in shape as well as in colour: full, pointed, crossed, barred, asking, hollow.
const SHAPES = {
  live: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20z",
  due: "M12 2 23 21H1z",
  expired: "M4 4l16 16M20 4 4 20",
  rejected: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12",
  unknown_age: "M7 8a5 5 0 1 1 7 4.5c-1.5.8-2 1.5-2 3.5M12 21v.1",
  done: "M3 13 9 19 21 5",
  not_uploaded: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z",
};

function draw(name, path, more) {
  const attributes = { viewBox: "0 0 24 24", class: name, "aria-hidden": "true", fill: "none", stroke: "currentColor" };
  const line = { "stroke-width": 1.7, "stroke-linecap": "round", "stroke-linejoin": "round", ...more };
  return s("svg", { ...attributes, ...line }, s("path", { d: path }));
}

/** A picture that goes beside words, and says nothing itself. */
export const icon = (name) => draw("icon", PATHS[name]);

/** The shape of an asset's state. */
export function shape(state) {
  return draw("shape", SHAPES[state] ?? SHAPES.not_uploaded, {
    "stroke-width": 3.4,
    fill: state === "live" || state === "due" ? "currentColor" : "none",
  });
}

/** What stands where there is nothing: a picture, what is not there, and what to do. */
export const empty = (sign, title, ...more) =>
  h("div", { class: "empty" }, sign && icon(sign), h("h2", null, title), more);

/** What a thing without a picture shows: its kind, and the end of its name. */
export function glyph(kind, name, ...classes) {
  const box = document.createElement("span");
  box.className = ["glyph", ...classes].join(" ");
  // Its words are in the name beside it as well.
  box.setAttribute("aria-hidden", "true");
  const dot = name?.lastIndexOf(".") ?? -1;
  box.append(icon(PATHS[kind] ? kind : "file"), dot > 0 ? name.slice(dot + 1, dot + 6).toUpperCase() : "");
  return box;
}
