// Where everything is put together: who is signed in, which view is shown, what changed.

import { follow, onAddress, read } from "./address.js";
import { line, lost } from "./api.js";
import { h } from "./dom.js";
import { listen, throttled, untilBack } from "./events.js";
import { header, keys, noHeader } from "./header.js";
import { empty } from "./icons.js";
import { library } from "./library.js";
import { end, session as current, signIn } from "./session.js";
import { announce, complain } from "./tell.js";
import { uploads as takeUploads } from "./uploads.js";

// Views beside the library are fetched when somebody first looks at them.
const LATER = {
  expiry: async () => (await import("./calendar.js")).calendar(),
  duplicates: async () => (await import("./duplicates.js")).duplicates(),
  campaigns: async () => (await import("./campaigns.js")).campaigns(),
};

const main = document.getElementById("main");
let view = null;

void start();

async function start() {
  watchLine();
  try {
    const session = await current();
    if (session) run(session);
    else out();
  } catch (problem) {
    main.replaceChildren(empty(null, problem.message, problem.hint));
    line.addEventListener("back", () => location.reload(), { once: true });
  }
}

function run(session) {
  const refresh = throttled(700, () => void update());
  const uploads = takeUploads(session, refresh);
  const leave = async () => {
    await end().catch(complain);
    location.reload();
  };
  const bar = header({ uploads, version: session.version, leave: () => void leave() });
  const views = new Map([["", library(session, uploads)]]);
  let shown = null;

  const viewOf = async (name, campaign, page) => {
    if (campaign) return (await import("./campaign.js")).campaign(campaign, page, session);
    if (!views.has(name)) views.set(name, await LATER[name]());
    return views.get(name);
  };
  const show = async (address) => {
    const name = address.view;
    const one = name === "campaigns" ? address.campaign : "";
    const wanted = `${name}/${one}/${one && address.page}`;
    if (wanted !== shown) {
      shown = wanted;
      const next = await viewOf(name, one, address.page).catch(missing);
      if (wanted !== shown) return;
      const before = view;
      view = next;
      main.replaceChildren(view.element);
      if (name || before) await update();
      if (before) main.focus({ preventScroll: true });
      if (before) announce(view.title());
    }
    document.title = `${view.title()} · reattach`;
  };
  const turn = (address) => void show(address).catch(complain);
  onAddress(turn);
  turn(read());

  listen((name, data) => {
    if (name === "campaign") view?.campaign?.(data);
    else refresh();
  });
  document.addEventListener("click", linked);
  document.addEventListener("keydown", (event) => pressed(event, { bar, uploads, session }));
}

/** What is shown where a view's module does not come: once the service is back, the page begins anew. */
function missing() {
  lost();
  line.addEventListener("back", () => location.reload(), { once: true });
  return { element: empty(null, "Not here yet"), title: () => "Not here yet", refresh() {} };
}

/** Fetches what is shown again. */
async function update() {
  try {
    await view?.refresh();
  } catch (problem) {
    complain(problem);
  }
}

/** Links of this page's own change the view, not the page. */
function linked(event) {
  const anchor = event.target.closest?.("a[href^='/']");
  if (!anchor || anchor.target || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
    return;
  event.preventDefault();
  follow(anchor.getAttribute("href"));
}

function pressed(event, { bar, uploads, session }) {
  if (
    event.defaultPrevented ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    document.querySelector("dialog[open]")
  )
    return;
  const typing = event.target.closest?.("input, textarea, select");
  if (event.key === "Escape") {
    if (typing) typing.blur();
    else view?.close?.();
  } else if (typing) return;
  else if (event.key === "/") {
    event.preventDefault();
    bar.search();
  } else if (event.key === "?") void keys(session.version);
  else if (event.key === "u") uploads?.choose();
}

function out() {
  noHeader();
  view = null;
  document.title = "Sign in · reattach";
  // What was shown is in no state to go on: a new page begins with the new session.
  main.replaceChildren(signIn(() => location.reload()));
  main.querySelector("input")?.focus();
}

/** Says while the service is away, and that it is back. */
function watchLine() {
  let banner = null;
  line.addEventListener("away", () => {
    const again = untilBack();
    banner = h(
      "div",
      { class: "notice away", role: "alert" },
      h("p", null, "The service does not answer. What you see may be old; it is asked again by itself."),
      h("button", { class: "button small", onclick: again }, "Ask now"),
    );
    main.before(banner);
  });
  line.addEventListener("back", () => {
    banner?.remove();
    announce("The service is back");
  });
  line.addEventListener("out", () => view && out());
}
