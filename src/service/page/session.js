// Signing in: a token becomes a cookie this page cannot read, and a word no other port of this host can: the browser
// sends the cookie to all of them.

import { call, remember } from "./api.js";
import { h } from "./dom.js";
import { told } from "./words.js";

/** The session there is; with a token in the address (`#token=…`), one begun with it. Null when there is none. */
export async function session() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    // Out of the address bar and the history before anything else happens.
    history.replaceState(history.state, "", location.pathname + location.search);
    await begin(token).catch((problem) => {
      whenOut(problem);
      refused = NOT_ITS;
    });
  }
  return known().catch(whenOut);
}

function whenOut(problem) {
  if (problem.status !== 401) throw problem;
  return null;
}

const WORD = "session";
// Nothing is shown until this is answered, and it takes the service no time.
const SOON = 10_000;
const NOT_ITS = "That is not this service's token.";
// What the form says from the start.
let refused = "";

async function begin(token) {
  const { csrf } = await call("/v1/session", { method: "POST", headers: { authorization: `Bearer ${token}` } });
  remember(csrf);
  try {
    localStorage.setItem(WORD, csrf);
  } catch {
    // Without storage one is signed in until the page is left.
  }
}

/** The session there is, by the word that is kept. */
async function known() {
  try {
    const word = localStorage.getItem(WORD);
    if (word) remember(word);
  } catch {
    // There may be one from just now.
  }
  return call("/v1/session", { patience: SOON });
}

export async function end() {
  await call("/v1/session", { method: "DELETE" });
  localStorage.removeItem(WORD);
}

addEventListener("storage", ({ key, newValue }) => {
  if (key === WORD) remember(newValue ?? "");
});

/** The form for a token; calls back with the session. */
export function signIn(onSession) {
  const wrong = h("p", { class: "wrong", role: "alert" }, refused);
  const field = h("input", {
    class: "field mono",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
  });
  const button = h("button", { class: "button main", type: "submit" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      // A whole link will do as well as the token in it.
      await begin(field.value.trim().replace(/^.*#token=/, ""));
      onSession(await known());
    } catch (problem) {
      wrong.textContent = problem.status === 401 ? NOT_ITS : told(problem);
      field.select();
    }
    button.disabled = false;
  };
  const form = h("form", { onsubmit: submit }, h("label", null, "Token", field), wrong, button);
  return h(
    "div",
    { class: "page" },
    h(
      "div",
      { class: "signin" },
      h("h1", null, "Sign in"),
      h(
        "p",
        { class: "quiet" },
        "Your library is open to you alone. In the terminal, this prints a link that signs you in:",
      ),
      h("code", { class: "command" }, "reattach serve --print-url"),
      h("p", { class: "quiet" }, "Or paste its token here."),
      form,
    ),
  );
}
