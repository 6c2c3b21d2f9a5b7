// Names for an asset, put on and taken off.

import { call } from "./api.js";
import { h } from "./dom.js";
import { confirmed } from "./dialog.js";
import { icon } from "./icons.js";
import { announce, complain } from "./tell.js";
import { told } from "./words.js";

/** The section for the aliases of `ref`; `changed` is called when there are others. */
export function aliases(ref, names, { mayChange, changed }) {
  const wrong = h("p", { class: "wrong", role: "alert" });
  const tags = names.map((name) =>
    h("li", { class: "tag" }, h("span", { title: `@${name}` }, `@${name}`), mayChange && remover(name, changed)),
  );
  const section = h(
    "section",
    null,
    h("h3", null, "Aliases"),
    tags.length
      ? h("ul", { class: "tags" }, tags)
      : h("p", { class: "quiet" }, "A name that stands wherever the path does, on every Page."),
  );
  if (!mayChange) return section;
  const field = h("input", {
    class: "field",
    "aria-label": "New alias",
    placeholder: "spring-hero",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 100,
    required: true,
  });
  const submit = async (event) => {
    event.preventDefault();
    const name = field.value.trim().replace(/^@/, "");
    if (!name) return;
    try {
      if (!(await mayTake(name, ref))) return;
      await call(`/v1/aliases/${encodeURIComponent(name)}`, { method: "PUT", body: { ref } });
      announce(`@${name} added`);
      field.value = "";
      changed();
    } catch (problem) {
      wrong.textContent = told(problem);
    }
  };
  section.append(
    h("form", { class: "line", onsubmit: submit }, field, h("button", { class: "button", type: "submit" }, "Add")),
    wrong,
  );
  return section;
}

/** A name that stands for something else is only taken from it when somebody says so. */
async function mayTake(name, ref) {
  const { aliases: all } = await call("/v1/aliases");
  const had = all.find(({ alias }) => alias === name);
  if (!had || `sha256:${had.sha256}` === ref || had.url === ref) return true;
  const words = [
    `@${name} stands for ${had.path ?? had.url ?? had.sha256} now. Whatever sends @${name} would send this asset from now on.`,
  ];
  return confirmed(`Take @${name} from there?`, words, "Take it");
}

function remover(name, changed) {
  const remove = async () => {
    const words = [`Whatever sends @${name} will find nothing by that name. The asset and its ids stay.`];
    if (!(await confirmed(`Remove @${name}?`, words, "Remove", "danger"))) return;
    await call(`/v1/aliases/${encodeURIComponent(name)}`, { method: "DELETE" }).then(
      () => announce(`@${name} removed`),
      complain,
    );
    changed();
  };
  return h("button", { "aria-label": `Remove alias ${name}`, title: "Remove", onclick: remove }, icon("close"));
}
