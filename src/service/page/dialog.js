// Questions and explanations over the page.

import { h } from "./dom.js";

let count = 0;

/** Shows a dialogue until it is closed; gives back the value of the button it was closed with. */
export function ask(title, words, buttons) {
  const id = `dialog-${++count}`;
  const dialog = h("dialog", { "aria-labelledby": id });
  const close = (value) => {
    dialog.returnValue = value;
    dialog.close();
  };
  const actions = buttons.map(({ text, value, kind = "", focus }) =>
    h("button", { class: `button ${kind}`, autofocus: focus, onclick: () => close(value) }, text),
  );
  const paragraphs = words.map((word) => (typeof word === "string" ? h("p", null, word) : word));
  dialog.append(h("div", null, h("h2", { id }, title), paragraphs, h("div", { class: "actions" }, actions)));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** Whether somebody agrees. */
export async function confirmed(title, words, yes, kind = "main") {
  const buttons = [
    { text: "Cancel", value: "", focus: true },
    { text: yes, value: "yes", kind },
  ];
  return (await ask(title, words, buttons)) === "yes";
}
