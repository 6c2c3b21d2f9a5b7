// Files into a folder of the library: dropped or chosen, sent beside whatever else goes on.

import { answered, lost, proof } from "./api.js";
import { problemNote } from "./detail.js";
import { h, write } from "./dom.js";
import { ask } from "./dialog.js";
import { icon } from "./icons.js";
import { announce, tell } from "./tell.js";
import { counted, lastPart, number, size, told } from "./words.js";

const AT_ONCE = 3;
// Of a larger file the service reads no more than shows that it is.
const MOST_BYTES = 26_214_400;
const BAD = new Set(["rejected", "failed"]);

/** Takes files from now on; `came` is called when some are in the library. Null where nothing may be changed. */
export function uploads(session, came) {
  if (session.scope !== "send" || !session.folders.length) return null;
  const queue = [];
  const running = new Set();
  const tray = new Tray(running, queue);

  const next = () => {
    while (running.size < AT_ONCE && queue.length) {
      const job = queue.shift();
      running.add(job);
      send(job).finally(() => {
        running.delete(job);
        tray.count();
        if (!running.size && !queue.length) came();
        next();
      });
    }
    tray.count();
  };
  const take = (files, folder) => {
    for (const file of files) queue.push({ file, folder, item: tray.add(file) });
    if (files.length) announce(`${counted(files.length, "file")} on the way to ${folder.name}`);
    next();
  };

  const picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files to upload" });
  let folder = session.folders[0];
  picker.addEventListener("change", () => {
    take([...picker.files], folder);
    picker.value = "";
  });
  document.body.append(picker);
  const choose = async () => {
    if (session.folders.length > 1) {
      const buttons = session.folders.map(({ id, name }, place) => ({
        text: name,
        value: String(id),
        focus: place === 0,
      }));
      const chosen = await ask("Into which folder?", [], [...buttons, { text: "Cancel", value: "", kind: "plain" }]);
      if (!chosen) return;
      folder = session.folders.find(({ id }) => String(id) === chosen);
    }
    picker.click();
  };
  dropZone(session.folders, take);
  addEventListener("beforeunload", (event) => running.size && event.preventDefault());
  return { choose: () => void choose() };
}

/** Sends one file, and says how far it is. Ends well whatever comes of it: the list says what did. */
function send({ file, folder, item }) {
  return new Promise((resolve) => {
    if (file.size > MOST_BYTES) {
      const message = `it has ${number(file.size)} bytes; Meta takes at most ${number(MOST_BYTES)} (25 MB)`;
      const hint = "compress it, shorten it, or send a link instead";
      item.ended({ outcome: "rejected", problems: [{ code: "too_large", severity: "error", message, hint }] });
      return resolve();
    }
    const form = new FormData();
    form.append("folder", String(folder.id));
    form.append("file", file, file.name);
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/assets");
    for (const [name, value] of Object.entries(proof())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({ loaded, total }) => item.progress(loaded, total));
    request.addEventListener("load", () => {
      try {
        item.ended(answered(request.status, request.responseText).assets[0]);
      } catch (problem) {
        item.broke(problem);
      }
      resolve();
    });
    request.addEventListener("error", () => {
      lost();
      item.broke({ message: "the service did not answer", hint: "the file is not in the library; drop it again" });
      resolve();
    });
    request.send(form);
  });
}

/** The list of uploads in the corner. */
class Tray {
  #list = h("ul", { tabindex: "0", "aria-label": "Uploads" });
  #title = h("h2");
  #box;
  #running;
  #queue;
  #bad = 0;

  constructor(running, queue) {
    this.#running = running;
    this.#queue = queue;
    const clear = h("button", { class: "button plain small", onclick: () => this.#clear() }, "Clear");
    this.#box = h(
      "section",
      { class: "tray", "aria-label": "Uploads", hidden: true },
      h("header", null, this.#title, clear),
      this.#list,
    );
    document.getElementById("tray").append(this.#box);
  }

  add(file) {
    const came = h("span", { class: "came quiet number" }, "waiting");
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Progress of ${file.name}` });
    const row = h("li", null, h("span", { class: "file", title: file.name }, file.name), came, bar);
    this.#list.append(row);
    const end = (state, words) => {
      bar.remove();
      row.dataset.done = "";
      came.className = "came state";
      row.dataset.state = state;
      write(came, words);
    };
    return {
      progress: (loaded, total) => {
        bar.value = total ? loaded / total : 0;
        write(came, loaded < total ? `${Math.round((100 * loaded) / total)} % of ${size(total)}` : "to Meta …");
      },
      ended: ({ outcome, path, problems = [], error }) => {
        const bad = BAD.has(outcome);
        if (bad) this.#bad += 1;
        end(bad ? "rejected" : "live", outcome);
        if (path && lastPart(path) !== file.name) row.firstChild.textContent = `${file.name} → ${lastPart(path)}`;
        row.append(...problems.map(problemNote));
        if (error) row.append(h("p", { class: "wrong" }, told(error)));
        if (bad) announce(`${file.name}: ${outcome}`);
      },
      broke: (problem) => {
        this.#bad += 1;
        end("rejected", "failed");
        row.append(h("p", { class: "wrong" }, told(problem)));
        announce(`${file.name}: ${problem.message}`);
      },
    };
  }

  count() {
    const left = this.#running.size + this.#queue.length;
    this.#box.hidden = !this.#list.children.length;
    const done = this.#list.children.length - left;
    if (left) return write(this.#title, `Uploading ${counted(left, "file")}`);
    write(
      this.#title,
      this.#bad
        ? `${counted(done - this.#bad, "file")} in, ${this.#bad} not`
        : `${counted(done, "file")} in the library`,
    );
    if (done) announce(this.#title.textContent);
  }

  #clear() {
    for (const row of [...this.#list.children]) if ("done" in row.dataset) row.remove();
    this.#bad = 0;
    this.count();
  }
}

/** Shows the folders while files hang over the page; a drop beside them goes to none where there are several. */
function dropZone(folders, take) {
  const targets = folders.map((folder) => h("div", { class: "target" }, icon("folder"), folder.name));
  const words = folders.length > 1 ? "Drop on a folder" : "Drop to upload into";
  const zone = h("div", { class: "drop", hidden: true }, h("h1", null, words), h("div", { class: "targets" }, targets));
  document.body.append(zone);
  let depth = 0;
  const leave = () => {
    depth = 0;
    zone.hidden = true;
    for (const target of targets) target.classList.remove("over");
  };
  const over = (event) => (folders.length === 1 ? 0 : targets.indexOf(event.target.closest?.(".target")));
  const files = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (!files(event)) return;
    depth += 1;
    zone.hidden = false;
    event.preventDefault();
  });
  addEventListener("dragleave", (event) => files(event) && (depth -= 1) <= 0 && leave());
  addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    const place = over(event);
    for (const [other, target] of targets.entries()) target.classList.toggle("over", other === place);
  });
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    const place = over(event);
    const dropped = [...event.dataTransfer.items]
      .filter((item) => item.kind === "file" && !item.webkitGetAsEntry?.()?.isDirectory)
      .map((item) => item.getAsFile());
    leave();
    if (place < 0) tell("Drop files on one of the folders", { bad: true });
    else if (!dropped.length) tell("Folders are for `reattach sync`: drop the files in it", { bad: true });
    else take(dropped, folders[place]);
  });
}
