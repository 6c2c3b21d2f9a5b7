// Numbers, times and states as people read them.

const DAY = 86_400_000;
const thousands = new Intl.NumberFormat("en");
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
/** A month in words, `new Date(…)` of which is its first moment. */
export const month = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

/** The states of an asset in the order they are listed, with their words. */
export const STATES = [
  ["live", "Live"],
  ["due", "Due"],
  ["expired", "Expired"],
  ["rejected", "Rejected"],
  ["unknown_age", "Unknown age"],
  ["not_uploaded", "Not uploaded"],
];
export const KINDS = [
  ["image", "Pictures"],
  ["video", "Videos"],
  ["audio", "Sound"],
  ["file", "Files"],
];
export const CAMPAIGN_STATES = {
  planned: "Planned",
  running: "Running",
  paused: "Paused",
  finished: "Finished",
  needs_settling: "Needs settling",
};

export const number = (value) => thousands.format(value ?? 0);
export const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format;
export const counted = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;
/** A month, `2026-12`, is that as well. */
export const onDay = (date) => (date.length === "2026-12".length ? month : day).format(new Date(date));
export const at = (time) => (time ? moment.format(new Date(time)) : "–");

/** Bytes in decimal units, as Meta's limits and the command line have them. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  if (bytes < 1000) return `${bytes} B`;
  const [by, unit] = bytes < 1e6 ? [1e3, "kB"] : bytes < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(bytes / by).toFixed(1)} ${unit}`;
}

export const dimensions = ({ width, height }) => (width && height ? `${width}×${height}` : "");

function days(from, to) {
  const count = Math.floor((to - from) / DAY);
  return count < 1 ? "less than a day" : counted(count, "day");
}

/** What an asset's state means today: "62 days left", "expired 3 days ago", "not uploaded". */
export function standing({ state, expires_at: expires }, now = Date.now()) {
  const end = expires ? Date.parse(expires) : null;
  if (state === "live" && end) return `${days(now, end)} left`;
  if (state === "due" && end) return end > now ? `due, ${days(now, end)} left` : "due";
  if (state === "expired" && end) return `expired ${days(end, now)} ago`;
  return (STATES.find(([name]) => name === state)?.[1] ?? state).toLowerCase();
}

/** A problem as a sentence: what it is, and what helps. */
export const told = ({ message, hint }) => [message, hint].filter(Boolean).join(" – ");

/** The last part of a path or address. */
export function lastPart(path) {
  return path?.split("/").findLast((part) => part !== "") ?? "";
}
