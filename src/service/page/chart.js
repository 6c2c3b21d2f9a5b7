// Curves over time, in SVG.

import { h, s, settled } from "./dom.js";
import { number } from "./words.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [52, 14, 10, 26];
// A moment is no time to draw a curve over.
const LEAST = 5000;
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hour12: false });
const exact = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const date = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

/** A plot of `names` over samples `{at, …}`; `draw(samples)` shows others. */
export function chart(title, names, height) {
  const svg = s("svg", { class: "chart", role: "img", "aria-label": title });
  const tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  const element = h("div", { class: "plot" }, svg, tip);
  svg.style.height = `${height}px`;
  let samples = [];
  let scales = null;
  const redraw = settled(60, () => draw(samples));
  new ResizeObserver(redraw).observe(element);

  const draw = (given) => {
    samples = given.map((sample) => ({ ...sample, time: Date.parse(sample.at) }));
    const width = element.clientWidth;
    if (!width || !samples.length) return;
    scales = measure(samples, names, width, height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute(
      "aria-label",
      `${title}: ${names.map((name) => `${number(samples.at(-1)[name])} ${name}`).join(", ")}`,
    );
    svg.replaceChildren(...axes(scales), ...curves(samples, names, scales));
  };
  element.addEventListener("pointermove", (event) => {
    if (!scales) return;
    const where = event.clientX - element.getBoundingClientRect().left;
    const nearest = samples.reduce((best, sample) =>
      Math.abs(scales.x(sample.time) - where) < Math.abs(scales.x(best.time) - where) ? sample : best,
    );
    point(svg, tip, nearest, names, scales);
  });
  element.addEventListener("pointerleave", () => {
    tip.hidden = true;
    svg.querySelector(".marks")?.remove();
  });
  return { element, draw };
}

function measure(samples, names, width, height) {
  const to = samples.at(-1).time;
  const from = Math.min(samples[0].time, to - LEAST);
  const top = ceiling(Math.max(1, ...samples.flatMap((sample) => names.map((name) => sample[name] ?? 0))));
  const x = (time) => LEFT + ((time - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - (value / top) * (height - TOP - BOTTOM);
  return { x, y, from, to, top, width, height };
}

/** The next round number. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return Math.max(
    4,
    [1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((round) => round >= value),
  );
}

function axes({ x, y, from, to, top, width, height }) {
  const parts = height > 160 ? 4 : 2;
  const values = Array.from({ length: parts + 1 }, (_, part) => (top * part) / parts).filter(Number.isInteger);
  const lines = values.flatMap((value) => [
    s("line", { class: "rule", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
    s("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, number(value)),
  ]);
  const steps = width < 520 ? 2 : 4;
  const format = to - from > 36 * 3_600_000 ? date : to - from < 240_000 ? exact : clock;
  const times = Array.from({ length: steps + 1 }, (_, step) => from + ((to - from) * step) / steps);
  const anchor = (step) => (step === 0 ? "start" : step === steps ? "end" : "middle");
  return [
    ...lines,
    ...times.map((time, step) =>
      s("text", { x: x(time), y: height - 6, "text-anchor": anchor(step) }, format.format(time)),
    ),
  ];
}

function curves(samples, names, { x, y }) {
  return names.flatMap((name, place) => {
    const line = samples
      .map((sample, index) => `${index ? "L" : "M"}${x(sample.time).toFixed(1)} ${y(sample[name] ?? 0).toFixed(1)}`)
      .join("");
    const area = `${line}L${x(samples.at(-1).time).toFixed(1)} ${y(0)}L${x(samples[0].time).toFixed(1)} ${y(0)}z`;
    return [
      place === 0 && s("path", { class: `area ${name}`, d: area }),
      s("path", { class: `curve ${name}`, d: line }),
    ].filter(Boolean);
  });
}

function point(svg, tip, sample, names, { x, y, width, height }) {
  const at = x(sample.time);
  svg.querySelector(".marks")?.remove();
  svg.append(
    s(
      "g",
      { class: "marks" },
      s("line", { class: "hair", x1: at, x2: at, y1: TOP, y2: height - BOTTOM }),
      names.map((name) => s("circle", { class: name, cx: at, cy: y(sample[name] ?? 0), r: 4 })),
    ),
  );
  tip.replaceChildren(
    h("b", null, exact.format(sample.time)),
    ...names.map((name) => h("div", null, `${number(sample[name])} ${name}`)),
  );
  tip.hidden = false;
  const left = at > width / 2;
  tip.style.left = left ? "" : `${at + 12}px`;
  tip.style.right = left ? `${width - at + 12}px` : "";
}
