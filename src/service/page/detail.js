// One asset, opened: what it looks like, its ids, its names, how to send it.

import { aliases } from "./aliases.js";
import { call } from "./api.js";
import { copyButton } from "./copy.js";
import { h, set } from "./dom.js";
import { glyph, icon, shape } from "./icons.js";
import { snippets } from "./snippets.js";
import { complain, tell } from "./tell.js";
import { at, dimensions, lastPart, size, standing } from "./words.js";

const SHOWN = new Set(["image/jpeg", "image/png", "image/gif", "image/webp"]);
// A picture of more pixels is a burden on the browser.
const MOST_PIXELS = 40_000_000;

/** The panel beside the grid. */
export class Detail {
  element = h("aside", { class: "panel", tabindex: "-1", hidden: true });
  name = "";
  #session;
  #on;
  #id = "";
  #asked = 0;
  #drawn = "";
  #body = h("div");

  constructor(session, on) {
    this.#session = session;
    this.#on = on;
    this.element.addEventListener(
      "keydown",
      (event) => event.key === "c" && event.target === this.element && this.#body.querySelector(".id button")?.click(),
    );
  }

  /** Opens an asset by its hash or address; closes with "". */
  show(id) {
    if (id === this.#id) return;
    const opened = this.#id === "";
    this.#id = id;
    this.#drawn = "";
    if (id) {
      void this.#fetch().then(
        () => opened && this.#id === id && matchMedia("(max-width: 900px)").matches && this.element.focus(),
      );
      return;
    }
    this.name = "";
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  /** Closes what is open. */
  close() {
    if (this.#id) this.#on.close();
  }

  refresh() {
    if (this.#id) void this.#fetch();
  }

  async #fetch() {
    const id = this.#id;
    const mine = (this.#asked += 1);
    try {
      const asset = /^https?:/.test(id) ? await ofAddress(id) : await call(`/v1/assets/${encodeURIComponent(id)}`);
      if (mine === this.#asked && id === this.#id) this.#draw(asset);
    } catch (problem) {
      if (mine !== this.#asked) return;
      complain(problem);
      if (problem.status === 404) this.#on.close();
    }
  }

  #draw(asset) {
    const text = JSON.stringify(asset);
    if (text === this.#drawn) return;
    const another = this.#drawn === "";
    this.#drawn = text;
    if (another) this.#open(asset);
    this.#body.replaceChildren(...this.#sections(asset));
    if (asset.state === "rejected" && !asset.problems?.length && this.#session.scope === "send") void this.#explain(asset);
  }

  /** Finds out why an asset is refused. Nothing is uploaded by that. */
  async #explain(asset) {
    const refs = [asset.paths[0] ?? `sha256:${asset.sha256}`];
    const {
      assets: [answer],
    } = await call("/v1/resolve", { method: "POST", body: { refs, upload: false } }).catch(() => ({ assets: [{}] }));
    if (answer.problems?.length && this.#id === asset.sha256)
      this.#body.replaceChildren(...this.#sections({ ...asset, problems: answer.problems }));
  }

  #open(asset) {
    this.name = lastPart(asset.paths?.[0] ?? asset.url) || asset.sha256.slice(0, 12);
    const close = h(
      "button",
      {
        class: "button plain square",
        "aria-label": "Close",
        title: "Close (Esc)",
        onclick: () => this.close(),
      },
      icon("close"),
    );
    const content = asset.sha256 && `/v1/assets/${asset.sha256}/content`;
    const open =
      content &&
      h(
        "a",
        {
          class: "button plain square",
          href: content,
          target: "_blank",
          rel: "noopener",
          "aria-label": "Open the file in a new tab",
          title: "Open the file",
        },
        icon("open"),
      );
    this.#body = h("div");
    this.element.replaceChildren(
      h("header", null, h("h2", { title: this.name }, this.name), open || "", close),
      preview(asset, content, this.name),
      this.#body,
    );
    set(this.element, "aria-label", this.name);
    this.element.hidden = false;
    this.element.scrollTop = 0;
    document.title = `${this.name} · reattach`;
  }

  #sections(asset) {
    const mayChange = this.#session.scope === "send";
    const ref = asset.sha256 ? `sha256:${asset.sha256}` : asset.url;
    const uploads = this.#uploads(asset);
    const best = uploads.find((upload) => upload.attachment_id && upload.state !== "expired");
    const problems = asset.problems ?? uploads.find((upload) => upload.problems?.length)?.problems ?? [];
    return [
      h(
        "section",
        null,
        h("h3", null, "Ids"),
        problems.map(problemNote),
        uploads.map((upload) => this.#upload(upload, ref, mayChange)),
      ),
      best && snippets({ kind: asset.kind, ...best }, this.#session.api_version ?? "v25.0"),
      aliases(ref, asset.aliases ?? [], { mayChange, changed: () => this.refresh() }),
      h("section", null, h("h3", null, "Facts"), factsOf(asset)),
    ].filter(Boolean);
  }

  /** What is on record for each Page, and what is not. */
  #uploads(asset) {
    const uploads = [...asset.uploads];
    if (asset.state === "rejected") return uploads.length ? uploads : [{ state: "rejected" }];
    for (const { id } of this.#session.pages) {
      if (!uploads.some((upload) => upload.page_id === id))
        uploads.push({ page_id: id, state: "not_uploaded", kind: asset.kind });
    }
    return uploads.filter((upload) => upload.page_id || upload.attachment_id);
  }

  #upload(upload, ref, mayChange) {
    const page = this.#session.pages.find(({ id }) => id === upload.page_id);
    const named = page?.name ?? upload.page_id ?? "Any Page";
    const id =
      upload.attachment_id &&
      h(
        "div",
        { class: "id" },
        h("code", null, upload.attachment_id),
        copyButton(upload.attachment_id, "the id", { words: "Copy id" }),
      );
    const times =
      upload.uploaded_at && h("p", { class: "quiet number" }, `${at(upload.uploaded_at)} → ${at(upload.expires_at)}`);
    // One that is due is good for days still: it is renewed with all others of its age.
    const can = mayChange && ["not_uploaded", "expired", "unknown_age"].includes(upload.state);
    const due =
      upload.state === "due" &&
      h(
        "p",
        { class: "quiet" },
        "The next ",
        h("code", null, "reattach sync"),
        " or ",
        h("code", null, "refresh --all-due"),
        " renews it.",
      );
    return h(
      "div",
      { class: "upload" },
      h(
        "div",
        { class: "top", "data-state": upload.state },
        h("b", null, named),
        h("span", { class: "state" }, shape(upload.state), standing(upload)),
      ),
      id,
      times,
      due,
      can && this.#renew(upload, ref),
    );
  }

  #renew(upload, ref) {
    const words = upload.attachment_id ? "Renew the id" : "Upload it";
    const run = async () => {
      button.disabled = true;
      try {
        const body = { refs: [ref], upload: true, ...(upload.page_id && { page: upload.page_id }) };
        const {
          assets: [answer],
        } = await call("/v1/resolve?wait=30", { method: "POST", body });
        const failed = answer.outcome === "failed" || answer.outcome === "rejected" || answer.outcome === "missing";
        const why = answer.error?.message ?? answer.problems?.[0]?.message ?? "";
        tell([`${this.name}: ${answer.outcome}`, failed && why].filter(Boolean).join(" – "), { bad: failed });
      } catch (problem) {
        complain(problem);
      }
      button.disabled = false;
      this.refresh();
    };
    const button = h(
      "button",
      { class: "button small", onclick: run },
      icon(upload.attachment_id ? "renew" : "upload"),
      words,
    );
    return h("div", null, button);
  }
}

/** An asset that is a web address has no bytes here; its rows say all there is to know. */
async function ofAddress(url) {
  const { assets } = await call(`/v1/assets?q=${encodeURIComponent(url)}&limit=50`);
  const uploads = assets.filter((asset) => asset.url === url);
  return { url, ...uploads[0], paths: [], sha256: null, uploads };
}

function preview(asset, content, name) {
  const box = (child, ...more) => h("div", { class: ["preview", ...more].join(" ") }, child);
  const big = () => glyph(asset.kind, name, "big");
  if (
    asset.kind === "image" &&
    content &&
    SHOWN.has(asset.mime) &&
    (asset.width ?? 0) * (asset.height ?? 0) <= MOST_PIXELS
  ) {
    const image = h("img", { src: content, alt: name });
    image.addEventListener("error", () => image.replaceWith(big()));
    return box(image);
  }
  if (asset.mime === "video/mp4" && content)
    return box(
      h("video", { controls: true, preload: "metadata", src: content, "aria-label": name, playsinline: true }),
    );
  if (asset.mime === "audio/mpeg" && content) {
    return h(
      "div",
      { class: "preview sound" },
      big(),
      h("audio", { controls: true, preload: "metadata", src: content, "aria-label": name }),
    );
  }
  return box(big());
}

/** What Meta would say of it, and what helps. */
export function problemNote({ code, severity, message, hint }) {
  return h(
    "div",
    { class: "problem", "data-severity": severity },
    h("b", null, `${code.replaceAll("_", " ")}: `),
    message,
    hint && h("div", { class: "hint" }, `→ ${hint}`),
  );
}

function factsOf(asset) {
  const paths = asset.paths ?? [];
  const list = [
    [
      "Type",
      [asset.mime, asset.kind !== asset.mime?.split("/")[0] && `sent as ${asset.kind}`].filter(Boolean).join(", "),
    ],
    ["Size", size(asset.size_bytes)],
    ["Dimensions", dimensions(asset)],
    [paths.length > 1 ? `${paths.length} copies` : "Path", paths.map((path) => h("div", null, path))],
    ["Address", asset.url],
    [
      "SHA-256",
      asset.sha256 &&
        h(
          "span",
          { class: "id" },
          h("code", { title: asset.sha256 }, `${asset.sha256.slice(0, 20)}…`),
          copyButton(asset.sha256, "the hash"),
        ),
    ],
  ];
  return facts(list);
}

/** What is known of a thing, by name. */
export const facts = (list) =>
  h(
    "dl",
    { class: "facts" },
    list
      .filter(([, value]) => value && value.length !== 0)
      .flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]),
  );
