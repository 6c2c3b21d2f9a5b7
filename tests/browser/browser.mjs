// A browser, and what every check asks of a page.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import axe from "axe-core";
import { chromium } from "playwright-core";

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Chromium as the system has it. */
export function launch() {
  const executablePath = process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path));
  assert.ok(executablePath, "there is no chromium here; CHROMIUM says where one is");
  // A name of somebody else's leads here, as it does once it is bound to this machine.
  const names = "--host-resolver-rules=MAP evil.example 127.0.0.1";
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", names] });
}

/** A window of its own. `faults` collects what should not have happened, `weight()` what came over the wire. */
export async function visitor(browser, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.stack));
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    // A picture that cannot be made is answered with 404 and shown as a tile.
    if (message.location().url.endsWith("/thumbnail")) return;
    faults.push(`${message.text()} (${message.location().url})`);
  });
  await page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((entry) => entry.value))).observe({
      type: "layout-shift",
      buffered: true,
    });
  });
  return { context, page, faults, weight: await scales(context, page) };
}

/** Counts what comes over the wire, headers and all, but for pictures of assets. */
async function scales(context, page) {
  const wire = await context.newCDPSession(page);
  await wire.send("Network.enable");
  const addresses = new Map();
  let bytes = 0;
  wire.on("Network.responseReceived", ({ requestId, response }) => addresses.set(requestId, response.url));
  wire.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (!/\/(thumbnail|content)$/.test(addresses.get(requestId) ?? "")) bytes += encodedDataLength;
  });
  return () => bytes;
}

/** Signs in by the link, and waits for the first rows. */
export async function signIn(page, lab, more = "") {
  await page.goto(lab.link.replace("/#", `/${more}#`));
  await page.locator(".cell[data-state]").first().waitFor();
}

/** Goes to a view of the page, as a link would. */
export async function visit(page, lab, query, sign) {
  await page.goto(`${lab.url}/${query}`);
  await page.locator(sign).first().waitFor();
}

/** What keeps people out who do not see or do not use a mouse. */
export async function accessible(page, what) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const told = violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("\n  ")}`,
  );
  assert.deepEqual(told, [], `${what} is not for everybody`);
}

/** What `work` comes to, unless it takes longer than any check does: a page that hangs is waited for without an end. */
export async function soon(work, seconds = 120) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`nothing came of it within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Whether a page's scripts run but its frames do not come: that is the browser's doing, and never the page's. */
export async function drawsNoMore(page) {
  const still = page.evaluate(() => {
    const drawn = new Promise((resolve) => requestAnimationFrame(() => resolve(false)));
    return Promise.race([drawn, new Promise((resolve) => setTimeout(() => resolve(true), 5000))]);
  });
  return soon(still, 20).catch(() => false);
}
