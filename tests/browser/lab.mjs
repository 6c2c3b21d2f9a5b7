// A library, a Graph API and the service, all real and all of this machine.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

import { hills, speck } from "./pictures.mjs";

const EXAMPLES = resolve(import.meta.dirname ?? ".", "../../assets-example");
const SHAPES = [
  [320, 240],
  [280, 280],
  [220, 330],
  [320, 168],
];
const NAMES = [
  "terrace",
  "lavender",
  "seed-box",
  "candle",
  "wreath",
  "lookbook",
  "basil",
  "unboxing",
  "thank-you",
  "gift-card",
];
const DAY = 86_400_000;
/** How many assets the archive holds that nobody has uploaded. */
export const ARCHIVE = 10_000;

/** Starts everything. `close()` ends it, and leaves nothing behind. */
export async function open(program) {
  const binary = resolve(program);
  const folder = mkdtempSync(join(tmpdir(), "reattach-browser-"));
  const tulips = join(folder, "tulips");
  const archive = join(folder, "archive");
  furnish(tulips, archive);
  const sandbox = spawn(binary, ["sandbox", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  const graph = JSON.parse(await line(sandbox, (text) => text.startsWith("{")));
  const env = {
    ...process.env,
    REATTACH_ACCESS_TOKEN: graph.pages[0].access_token,
    REATTACH_GRAPH_URL: graph.url,
    REATTACH_STORE: `sled:${join(folder, "store")}`,
    HOME: folder,
    XDG_CONFIG_HOME: join(folder, "config"),
    XDG_DATA_HOME: join(folder, "data"),
  };
  const run = (...args) =>
    execFileSync(binary, args, { cwd: folder, env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const start = (...args) => spawn(binary, args, { cwd: folder, env, stdio: ["ignore", "ignore", "inherit"] });
  const lab = { binary, folder, tulips, archive, graph, run, start, url: "", token: "" };
  try {
    // One picture is refused, as it should be: 3.
    assert.throws(() => run("sync", "tulips/examples"), { status: 3 });
    run("import", "ids.csv", "--library", "tulips");
    run("alias", "hero", "tulips/examples/banners/hero.png");
    await serve(lab, env, "127.0.0.1:0");
  } catch (error) {
    sandbox.kill();
    throw error;
  }
  lab.restart = async () => {
    await ended(lab.service);
    lab.service = null;
    return () => serve(lab, env, new URL(lab.url).host);
  };
  lab.reader = () => readFileSync(join(folder, "store/serve-read.token"), "utf8").trim();
  lab.control = (path, body) => fetch(`${graph.url}/__sandbox/${path}`, { method: "POST", body: JSON.stringify(body) });
  lab.ask = async (path) => (await fetch(lab.url + path, { headers: { authorization: `Bearer ${lab.token}` } })).json();
  lab.close = async () => {
    await ended(lab.service);
    await ended(sandbox);
    rmSync(folder, { recursive: true });
  };
  return lab;
}

async function serve(lab, env, address) {
  const folders = ["--library", lab.tulips, "--library", lab.archive];
  lab.service = spawn(lab.binary, ["serve", "--listen", address, ...folders, "--print-url"], {
    cwd: lab.folder,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = await line(lab.service, (text) => text.includes("#token="));
  const link = new URL(/https?:\S+/.exec(said)[0]);
  lab.token = new URLSearchParams(link.hash.slice(1)).get("token");
  lab.url = link.origin;
  lab.link = link.href;
}

/** The first line that is meant; what follows is read and let go. */
async function line(child, meant) {
  const lines = createInterface({ input: child.stdout });
  return new Promise((found, failed) => {
    lines.on("line", (text) => meant(text) && found(text));
    child.once("exit", (code) =>
      failed(new Error(`${child.spawnfile} ended with ${code} before it said where it listens`)),
    );
  });
}

async function ended(child) {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

/** The examples; pictures whose ids are of every age; and an archive. */
function furnish(tulips, archive) {
  cpSync(EXAMPLES, join(tulips, "examples"), { recursive: true });
  mkdirSync(join(tulips, "campaigns"));
  writeFileSync(join(tulips, "campaigns/unfinished.png"), "");
  const lines = ["path,attachment_id,uploaded_at"];
  for (let number = 0; number < 40; number += 1) {
    const name = `campaigns/${NAMES[number % NAMES.length]}-${number}.png`;
    writeFileSync(join(tulips, name), hills(number, ...SHAPES[number % SHAPES.length]));
    // Of five a live one, of ten a due one, an old one, one of which nobody knows, and some that are on no Page.
    const days = [12, 85, 30, 101, 47, 66, null, 88, 3, -1][number % 10];
    if (days !== -1)
      lines.push(
        `${name},${9_100_000_000_000_000 + number},${days === null ? "" : new Date(Date.now() - days * DAY - number * 3_600_000).toISOString()}`,
      );
  }
  writeFileSync(join(tulips, "..", "ids.csv"), `${lines.join("\n")}\n`);
  for (let number = 0; number < ARCHIVE; number += 1) {
    const shelf = join(archive, `shelf-${String(Math.floor(number / 500)).padStart(2, "0")}`);
    mkdirSync(shelf, { recursive: true });
    writeFileSync(join(shelf, `piece-${String(number).padStart(5, "0")}.png`), speck(number));
  }
}
