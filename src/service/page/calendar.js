// When ids end: a month at a time, a day at a glance.

import { follow, only } from "./address.js";
import { call } from "./api.js";
import { h } from "./dom.js";
import { empty } from "./icons.js";
import { counted, month, number, onDay, short, size } from "./words.js";

const WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const DAY = 86_400_000;
// What ends within so many days is renewed by the next sync.
const SOON = 7;

/** The view of the days on which ids end. */
export function calendar() {
  const head = h("p");
  const months = h("div", { class: "months" });
  const legend = h(
    "div",
    { class: "legend", hidden: true },
    h("span", { "data-when": "soon" }, "within a week"),
    h("span", { "data-when": "later" }, "later"),
    "the fuller, the more",
  );
  const element = h("div", { class: "page" }, h("header", null, h("h1", null, "Expiry"), head), months, legend);
  const refresh = async () => {
    const days = (await call("/v1/expiries")).days.filter(({ date }) => date >= today());
    const soon = new Date(Date.now() + SOON * DAY).toISOString().slice(0, 10);
    const within = days.filter(({ date }) => date <= soon).reduce((sum, { count }) => sum + count, 0);
    head.replaceChildren(
      ...(days.length
        ? [
            `${counted(within, "id")} ${within === 1 ? "ends" : "end"} within a week; `,
            h("code", null, "reattach refresh --all-due"),
            " renews them. Days are in UTC.",
          ]
        : []),
    );
    months.replaceChildren(...(days.length ? drawn(days, soon) : [nothing()]));
    legend.hidden = !days.length;
  };
  return { element, title: () => "Expiry", refresh };
}

function nothing() {
  const words = "No upload’s end lies ahead. The last day of each will be marked here.";
  return empty("calendar", "No id ends", h("p", null, words));
}

function drawn(days, soon) {
  const byDate = new Map(days.map((day) => [day.date, day]));
  const most = Math.max(...days.map(({ count }) => count));
  const [first, last] = [days[0].date, days.at(-1).date];
  const list = [];
  let [year, index] = [Number(first.slice(0, 4)), Number(first.slice(5, 7)) - 1];
  while (new Date(Date.UTC(year, index, 1)).toISOString().slice(0, 10) <= last && list.length < 24) {
    list.push(oneMonth(year, index, byDate, most, soon));
    index += 1;
    if (index === 12) [year, index] = [year + 1, 0];
  }
  return list;
}

function oneMonth(year, index, byDate, most, soon) {
  const start = new Date(Date.UTC(year, index, 1));
  const before = (start.getUTCDay() + 6) % 7;
  const length = new Date(Date.UTC(year, index + 1, 0)).getUTCDate();
  const cells = [
    ...Array(before).fill(null),
    ...Array.from({ length }, (_, day) => `${start.toISOString().slice(0, 8)}${String(day + 1).padStart(2, "0")}`),
  ];
  while (cells.length % 7) cells.push(null);
  const all = Array.from({ length: cells.length / 7 }, (_, week) => cells.slice(week * 7, week * 7 + 7));
  // Weeks that are over say nothing any more.
  const weeks = all.slice(
    Math.max(
      0,
      all.findIndex((week) => week.some((date) => date && (date >= today() || byDate.has(date)))),
    ),
  );
  const sum = cells.reduce((total, date) => total + (byDate.get(date)?.count ?? 0), 0);
  const name = month.format(start);
  return h(
    "section",
    { class: "card month" },
    h("h2", null, name, h("span", { class: "quiet number" }, counted(sum, "id"))),
    h(
      "table",
      { "aria-label": name },
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          WEEKDAYS.map((day) => h("th", { scope: "col" }, day)),
        ),
      ),
      h(
        "tbody",
        null,
        weeks.map((week) =>
          h(
            "tr",
            null,
            week.map((date) => h("td", null, date && oneDay(date, byDate.get(date), most, soon))),
          ),
        ),
      ),
    ),
  );
}

const unseen = (words) => h("span", { class: "unseen" }, words);
const today = () => new Date().toISOString().slice(0, 10);

function oneDay(date, day, most, soon) {
  const mark = date === today() ? " today" : "";
  const place = h("span", null, String(Number(date.slice(8))));
  if (!day) return h("div", { class: `day${mark}` }, place);
  const level = Math.min(4, Math.max(1, Math.ceil((4 * day.count) / most)));
  const [ends, weigh] = [day.count === 1 ? "id ends" : "ids end", size(day.bytes)];
  const open = () => follow(only({ expires: date, sort: "expires" }));
  return h(
    "button",
    {
      class: `day l${level}${mark}`,
      "data-when": date <= soon ? "soon" : "later",
      title: `${onDay(date)}: ${number(day.count)} ${ends}, ${weigh}`,
      onclick: open,
    },
    place,
    unseen(` ${month.format(new Date(date))}: `),
    h("b", null, short(day.count)),
    unseen(` ${ends}, ${weigh}`),
  );
}
