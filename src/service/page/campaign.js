// One campaign, as it goes.

import { only } from "./address.js";
import { call, query } from "./api.js";
import { meter, PARTS, stateOf } from "./campaigns.js";
import { chart } from "./chart.js";
import { facts } from "./detail.js";
import { confirmed } from "./dialog.js";
import { h, write } from "./dom.js";
import { empty, icon } from "./icons.js";
import { announce, complain } from "./tell.js";
import { at, CAMPAIGN_STATES, counted, number } from "./words.js";

const LISTED = 200;
/** Who gets it alone, before another yes. */
const FIRST = { testers: "Its testers get it.", canary: "A few get it." };

/** The view of the campaign `name` of a Page, which need not be said where one alone has a campaign of that name. */
export function campaign(name, page, session) {
  const path = (verb = "", more = {}) => `/v1/campaigns/${encodeURIComponent(name)}${verb}${query({ page, ...more })}`;
  const mayChange = session.scope === "send";
  const state = h("span");
  const actions = h("span", { class: "push" });
  const notice = h("div");
  const figures = h("dl", { class: "figures" });
  const bar = meter();
  const sent = chart("Sent over time", ["sent"], 240);
  const trouble = chart("Failed and unknown over time", ["failed", "unknown"], 130);
  const numbersOverTime = wide("Figures over time");
  const curveless = h("p", { class: "quiet" }, "There is no curve: the service was not there while it was sent.");
  const [reasons, unknown, variants, about] = Array.from({ length: 4 }, () => h("div"));
  const numbers = new Map();
  for (const part of PARTS) {
    numbers.set(part, h("dd", null, "0"));
    figures.append(h("div", null, h("dt", { class: part }, part[0].toUpperCase() + part.slice(1)), numbers.get(part)));
  }
  const plots = h(
    "div",
    { class: "stack" },
    sent.element,
    h("h2", null, "Failed and unknown"),
    trouble.element,
    h("details", null, h("summary", null, "As a table"), numbersOverTime),
  );
  const overTime = card("Sent", curveless, plots);
  const all = h(
    "div",
    { class: "stack", hidden: true },
    notice,
    h("section", { class: "card stack", "aria-label": "Progress" }, figures, bar.element),
    overTime,
    unknown,
    reasons,
    variants,
    about,
  );
  const none = empty("campaigns", "There is no such campaign");
  none.hidden = true;
  const element = h(
    "div",
    { class: "page" },
    h("header", null, h("a", { class: "back", href: only({ view: "campaigns" }) }, icon("back"), "Campaigns")),
    h("header", null, h("h1", null, name), state, actions),
    none,
    all,
  );

  let history = [];
  let shown = { state: "", unknown: -1 };
  const change = async (verb, body, more) => {
    await call(path(`/${verb}`, more), { method: "POST", body }).then(draw, complain);
    await refresh().catch(complain);
  };

  const draw = (now) => {
    const { state: before, stage, unknown: doubts } = shown;
    const focused = document.activeElement;
    shown = now;
    all.hidden = false;
    none.hidden = true;
    state.replaceChildren(stateOf(now));
    for (const [part, figure] of numbers) write(figure, number(now[part]));
    bar.draw(now);
    notice.replaceChildren(...told(now));
    if (before !== now.state || stage !== now.stage) {
      actions.replaceChildren(...(mayChange ? buttons(now, () => shown.pending, change) : []));
      if (before && before !== now.state) announce(`${name} is ${CAMPAIGN_STATES[now.state].toLowerCase()}`);
    }
    about.replaceChildren(factsOf(now, session));
    variants.replaceChildren(...variantsOf(now.variants ?? []));
    if (doubts !== now.unknown) void listed(now).catch(complain);
    // Whoever was on a button that is gone goes on with the next.
    if (!focused.isConnected) (actions.firstChild ?? element.parentNode).focus();
  };
  const listed = async (now) => {
    if (!now.unknown) return unknown.replaceChildren();
    const { deliveries } = await call(path("/unknown"));
    unknown.replaceChildren(doubtful(deliveries, now, mayChange && change));
  };
  const curves = () => {
    // Of one moment there is none.
    const few = history.length < 2;
    plots.hidden = few;
    curveless.hidden = !few;
    overTime.hidden = few && ["planned", "running"].includes(shown.state);
    sent.draw(history);
    trouble.draw(history);
    const every = Math.max(1, Math.ceil(history.length / 24));
    const samples = history.filter((_, place) => place % every === 0 || place === history.length - 1);
    numbersOverTime.replaceChildren(
      table(
        [["At", "when"], ["Sent"], ["Failed"], ["Unknown"], ["Pending"]],
        samples.map((sample) => [
          at(sample.at),
          ...["sent", "failed", "unknown", "pending"].map((part) => number(sample[part])),
        ]),
      ),
    );
  };
  const refresh = async () => {
    const now = await call(path()).catch((problem) => {
      if (problem.status !== 404) throw problem;
    });
    none.hidden = Boolean(now);
    if (!now) return;
    history = now.history ?? [];
    draw(now);
    curves();
    reasons.replaceChildren(...why(now.reasons ?? []));
  };

  return {
    element,
    refresh,
    title: () => name,
    campaign(now) {
      if (now.name !== name || now.page_id !== shown.page_id) return;
      const ended = now.state !== shown.state || now.failed !== shown.failed;
      history.push({ ...now, at: new Date().toISOString() });
      draw(now);
      curves();
      if (ended) void refresh().catch(complain);
    },
  };
}

function told({ name, state, paused, unknown }) {
  const note = (words) => [h("div", { class: "notice", "data-campaign": state, role: "note" }, h("p", null, words))];
  if (paused)
    return note(`Paused: ${paused.replace(/^paused /, "").replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, (time) => at(time))}.`);
  if (state === "planned")
    return note([
      "Nobody has it yet: ",
      h("code", null, `reattach campaign resume ${name}`),
      " begins it.",
    ]);
  if (state === "needs_settling")
    return note(
      `All is done but ${counted(unknown, "message")} of which nobody can say whether ${unknown === 1 ? "it" : "they"} arrived. Settle ${unknown === 1 ? "it" : "them"} below.`,
    );
  return [];
}

function buttons({ name, state, stage, paused_for }, pending, change) {
  const pause = async () => {
    const words = ["Messages under way still arrive; no other begins. Resuming goes on where it stopped."];
    if (await confirmed(`Pause ${name}?`, words, "Pause")) await change("pause");
  };
  const resume = async () => {
    const who = FIRST[stage] ?? `${counted(pending(), "message")} will go out.`;
    const again = paused_for === "lost" ? "Who has one anyway gets another" : "Nobody who has one gets it again";
    if (await confirmed(`Resume ${name}?`, [`${who} ${again}.`], "Resume"))
      await change("resume", undefined, { stage });
  };
  if (state === "running") return [h("button", { class: "button", onclick: pause }, icon("pause"), "Pause")];
  if (state === "paused") return [h("button", { class: "button main", onclick: resume }, icon("play"), "Resume")];
  return [];
}

/** A table of columns `[words, class]`. */
function table(columns, rows) {
  return h(
    "table",
    { class: "plain" },
    h(
      "thead",
      null,
      h(
        "tr",
        null,
        columns.map(([words, kind]) => h("th", { scope: "col", class: kind }, words)),
      ),
    ),
    h(
      "tbody",
      null,
      rows.map((cells) =>
        h(
          "tr",
          null,
          cells.map((cell, place) => h("td", { class: columns[place][1] }, cell)),
        ),
      ),
    ),
  );
}

const wide = (label, ...children) =>
  h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": label }, children);

const card = (title, ...children) => h("section", { class: "card stack" }, h("h2", null, title), children);

function why(reasons) {
  if (!reasons.length) return [];
  const rows = reasons.map(({ code, subcode, count, message, meaning, action }) => [
    number(count),
    [
      h("b", null, meaning || message),
      action && h("div", null, `→ ${action}`),
      h(
        "div",
        { class: "quiet" },
        [meaning && message, code && `${code}${subcode ? `/${subcode}` : ""}`].filter(Boolean).join(" · "),
      ),
    ],
  ]);
  return [
    card(
      "Why some failed",
      table(
        [
          ["Messages", "number narrow"],
          ["Reason", "words"],
        ],
        rows,
      ),
    ),
  ];
}

function doubtful(deliveries, { name, unknown }, change) {
  const many = counted(unknown, "message");
  const button = (words, assume, title, why, yes) => {
    const settle = async () => (await confirmed(title, [why], yes)) && change("settle", { assume });
    return h("button", { class: "button", onclick: settle }, words);
  };
  const actions =
    change &&
    h(
      "div",
      { class: "line" },
      button(
        "They were sent",
        "sent",
        `Count ${many} as sent?`,
        "Nobody gets it again. Whoever did not get it never will, from this campaign.",
        "They were sent",
      ),
      button(
        "They were not",
        "not-sent",
        `Send ${many} again?`,
        "Whoever did get it gets it twice, when the campaign goes on.",
        "Send again",
      ),
    );
  const rows = deliveries
    .slice(0, LISTED)
    .map(({ recipient, part, attempts, at: when, reason, error }) => [
      h("code", null, recipient),
      part,
      attempts,
      at(when),
      reason ?? error?.message ?? "",
    ]);
  const beyond =
    deliveries.length > LISTED &&
    h("p", { class: "quiet" }, `The first ${LISTED}; all: reattach campaign export ${name}`);
  return card(
    "Unknown",
    h(
      "p",
      { class: "quiet" },
      "The request left, and no answer came. They are not sent again by themselves: a message twice is worse than one that is missing and named.",
    ),
    actions,
    wide(
      "Unknown deliveries",
      table([["Recipient"], ["Part", "number"], ["Tries", "number"], ["At", "when"], ["Why", "words"]], rows),
    ),
    beyond,
  );
}

function variantsOf(variants) {
  if (!variants.length) return [];
  const rows = variants.map(({ part, variant, sent, failed, unknown }) => [
    part,
    variant,
    ...[sent, failed, unknown].map(number),
  ]);
  return [
    card(
      "Variants",
      table([["Part"], ["Variant"], ["Sent", "number"], ["Failed", "number"], ["Unknown", "number"]], rows),
    ),
  ];
}

function factsOf(now, session) {
  const page = session.pages.find(({ id }) => id === now.page_id)?.name ?? now.page_id;
  return card(
    "Facts",
    facts([
      ["Page", page],
      ["Planned", at(now.planned_at)],
      ["Started", at(now.started_at)],
      ["Recipients", number(now.recipients)],
      ["Left out", `${counted(now.duplicates ?? 0, "duplicate")}, ${number(now.malformed)} malformed`],
      ["Messages each", number(now.parts)],
      ["Uploads", number(now.uploads)],
      ["Sent by", `${number(now.sends_by_id)} by id, ${number(now.sends_by_url)} by address`],
    ]),
  );
}
