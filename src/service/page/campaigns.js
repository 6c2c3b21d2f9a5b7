// Every campaign, the busy ones first.

import { only } from "./address.js";
import { call } from "./api.js";
import { h, set, write } from "./dom.js";
import { empty, shape } from "./icons.js";
import { at, CAMPAIGN_STATES, number } from "./words.js";

const ORDER = ["running", "needs_settling", "paused", "planned", "finished"];
// The shapes of assets, for what is like them.
const SHAPES = {
  running: "live",
  paused: "due",
  needs_settling: "unknown_age",
  planned: "not_uploaded",
  finished: "done",
};
export const PARTS = ["sent", "failed", "unknown", "skipped", "pending"];

/** A campaign's bar: how much of it went which way. */
export function meter() {
  const parts = PARTS.map((name) => h("i", { class: name }));
  const element = h("div", { class: "meter", role: "img" }, parts);
  const draw = (campaign) => {
    for (const [place, name] of PARTS.entries()) {
      parts[place].hidden = !campaign[name];
      // The fewest are to be seen as well.
      parts[place].style.flex = `${campaign[name] ?? 0} 0 3px`;
    }
    set(element, "aria-label", summary(campaign));
  };
  return { element, draw };
}

const summary = (campaign) =>
  PARTS.filter((name) => campaign[name])
    .map((name) => `${number(campaign[name])} ${name}`)
    .join(", ") || "nothing to send";

/** A campaign's state as a word in its colour. */
export const stateOf = ({ state }) =>
  h("span", { class: "state", "data-campaign": state }, shape(SHAPES[state]), CAMPAIGN_STATES[state] ?? state);

/** What tells it from every other, those of other Pages included. */
const keyOf = ({ name, page_id }) => `${page_id}/${name}`;

/** The view of all campaigns. */
export function campaigns() {
  const list = h("ul", { class: "stack" });
  const element = h("div", { class: "page" }, h("header", null, h("h1", null, "Campaigns")), list);
  const items = new Map();
  const refresh = async () => {
    const { campaigns: all } = await call("/v1/campaigns");
    all.sort(
      (a, b) =>
        ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (b.planned_at ?? "").localeCompare(a.planned_at ?? ""),
    );
    items.clear();
    list.replaceChildren(
      ...(all.length
        ? all.map((campaign) => {
            const item = row(campaign);
            items.set(keyOf(campaign), item);
            return item.element;
          })
        : [nothing()]),
    );
  };
  return {
    element,
    title: () => "Campaigns",
    refresh,
    campaign: (campaign) => items.get(keyOf(campaign))?.draw(campaign) ?? void refresh(),
  };
}

function row(campaign) {
  const state = h("span");
  const counts = h("span", { class: "quiet number" });
  const bar = meter();
  const when = campaign.started_at ? `started ${at(campaign.started_at)}` : `planned ${at(campaign.planned_at)}`;
  const link = h(
    "a",
    { class: "card campaign", href: only({ view: "campaigns", campaign: campaign.name, page: campaign.page_id }) },
    h("b", null, campaign.name),
    state,
    counts,
    h("span", { class: "quiet" }, when),
    bar.element,
  );
  const draw = (now) => {
    state.replaceChildren(stateOf(now));
    write(counts, `${summary(now)} of ${number(now.total)}`);
    bar.draw(now);
    return true;
  };
  draw(campaign);
  return { element: h("li", null, link), draw };
}

function nothing() {
  return h(
    "li",
    null,
    empty(
      "campaigns",
      "No campaign yet",
      h("p", null, "One message to many people, once each. It begins in the terminal, and is followed here:"),
      h("code", { class: "command" }, "reattach campaign run --name spring-sale --to recipients.csv --file hero.png"),
    ),
  );
}
