// What a bot sends, ready to paste.

import { copy } from "./copy.js";
import { h, set } from "./dom.js";
import { icon } from "./icons.js";

/** The Send API's request for an id. */
export function json(upload) {
  const attachment = { type: upload.kind, payload: { attachment_id: upload.attachment_id } };
  return JSON.stringify({ recipient: { id: "PSID" }, messaging_type: "RESPONSE", message: { attachment } }, null, 2);
}

/** The same for a terminal. Quoted for a shell: an id is digits, and a kind is one of four words. */
export function curl(upload, version) {
  const host = `https://graph.facebook.com/${version}/${upload.page_id}/messages`;
  return [
    `curl -X POST '${host}' \\`,
    `  -H "Authorization: Bearer $PAGE_ACCESS_TOKEN" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d '${json(upload)}'`,
  ].join("\n");
}

/** Both, one at a time. */
export function snippets(upload, version) {
  const texts = [
    ["JSON", json(upload)],
    ["curl", curl(upload, version)],
  ];
  const shown = h("pre", { class: "snippet", id: "snippet", role: "tabpanel", tabindex: "0", "aria-label": "Snippet" });
  const tabs = texts.map(([name], place) =>
    h("button", { role: "tab", "aria-controls": "snippet", onclick: () => show(place) }, name),
  );
  let now = 0;
  const show = (place) => {
    now = place;
    shown.textContent = texts[place][1];
    for (const [other, tab] of tabs.entries()) {
      set(tab, "aria-selected", String(other === place));
      set(tab, "tabindex", other === place ? "0" : "-1");
    }
  };
  show(0);
  const move = (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    show(1 - now);
    tabs[now].focus();
  };
  const button = h(
    "button",
    { class: "button small", onclick: () => void copy(texts[now][1], `the ${texts[now][0]} snippet`) },
    icon("copy"),
    "Copy",
  );
  return h(
    "section",
    null,
    h("h3", null, "Send it"),
    h("div", { class: "tabs" }, h("div", { role: "tablist", "aria-label": "Snippets", onkeydown: move }, tabs), button),
    shown,
  );
}
