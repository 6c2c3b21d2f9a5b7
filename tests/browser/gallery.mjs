// The library as a team uses it.

import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";

import { signIn, visit, visitor } from "./browser.mjs";
import { ARCHIVE } from "./lab.mjs";
import { hills } from "./pictures.mjs";

const MOST_BYTES = 150 * 1024;
const LEAST_FRAMES = 30;
// Six connections are what browsers have for one host.
const TABS = 8;
const cells = ".cell[data-state]";

export const checks = {
  async "signs in by the link, and leaves no token behind"({ browser, lab }) {
    const { context, page, faults, weight } = await visitor(browser);
    await signIn(page, lab);
    await page.waitForLoadState("networkidle").catch(() => {});
    assert.equal(page.url(), `${lab.url}/`);
    assert.ok(!(await page.content()).includes(lab.token));
    const stored = await page.evaluate(() =>
      JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, history.state]),
    );
    assert.ok(!stored.includes(lab.token), stored);
    const [cookie] = await context.cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
    const shift = await page.evaluate(() => window.shifts.reduce((sum, value) => sum + value, 0));
    console.log(`        ${weight()} bytes before pictures; layout shift ${shift}`);
    assert.ok(weight() <= MOST_BYTES, `${weight()} bytes`);
    assert.equal(shift, 0, "the page moves while it loads");
    await context.close();
    return faults;
  },

  async "asks a stranger for the token"({ browser, lab }) {
    const { context, page, faults } = await visitor(browser);
    await page.goto(`${lab.url}/#token=wrong`);
    await page.getByText("That is not this service's token.").waitFor();
    await page.goto(lab.url);
    await page.getByLabel("Token").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("That is not this service's token.").waitFor();
    await page.getByLabel("Token").fill(lab.token);
    await page.keyboard.press("Enter");
    await page.locator(cells).first().waitFor();
    await context.close();
    // A browser calls each refusal an error; these were wanted.
    return faults.filter((fault) => !fault.includes("401"));
  },

  async "shows itself in more tabs than a browser has connections"({ browser, lab }) {
    const { context, page, faults } = await visitor(browser);
    await signIn(page, lab);
    const tabs = [page];
    while (tabs.length < TABS) {
      await looksAt(tabs.at(-1), false);
      const tab = await context.newPage();
      tab.setDefaultTimeout(20_000);
      tabs.push(tab);
      await visit(tab, lab, "?q=examples/banners/spring-sale.jpg", cells);
    }
    // What happened while nobody looked is seen by who looks again.
    lab.run("alias", "seen-late", "tulips/examples/banners/spring-sale.jpg");
    await tabs.at(-1).locator(cells, { hasText: "@seen-late" }).waitFor();
    await looksAt(tabs.at(-1), false);
    await looksAt(tabs[1], true);
    await tabs[1].locator(cells, { hasText: "@seen-late" }).waitFor();
    lab.run("alias", "--remove", "seen-late");
    await tabs[1].locator(cells, { hasText: "@seen-late" }).waitFor({ state: "detached" });
    await context.close();
    return faults;
  },

  async "says so where a browser has no connection left"({ browser, lab }) {
    const { context, page, faults } = await visitor(browser);
    await signIn(page, lab);
    await page.clock.install();
    let asked = () => {};
    const held = new Promise((resolve) => (asked = resolve));
    await page.route("**/v1/session", asked);
    await page.reload();
    const route = await held;
    await page.clock.runFor(11_000);
    await page.getByText("close one of them").waitFor();
    await page.unroute("**/v1/session");
    await route.abort().catch(() => {});
    await context.close();
    return faults.filter((fault) => !fault.includes("ERR_"));
  },

  async "takes a day or a month from the address, and nothing else"({ page, lab }) {
    const { days } = await lab.ask("/v1/expiries");
    const { date } = days.at(-1);
    const month = date.slice(0, 7);
    await visit(page, lab, `?expires=${month}`, cells);
    const said = await page.locator(".chips .chip").first().textContent();
    const words = { month: "long", year: "numeric", timeZone: "UTC" };
    assert.equal(said, `Ends ${new Date(date).toLocaleDateString("en", words)}`);
    await visit(page, lab, `?expires=${date}`, cells);
    assert.match(await page.locator(".chips .chip").first().textContent(), /^Ends \w+ \d+, \d{4}$/);
    for (const none of ["zz", "2026-13-45", "2026-02-30", "2026", "2026-13", "2026-12-01T00:00"]) {
      await visit(page, lab, `?expires=${none}`, cells);
      assert.ok(await page.locator(".chips .chip").first().isHidden(), none);
    }
  },

  async "searches, filters, and goes back"({ page, lab }) {
    await visit(page, lab, "", cells);
    await page.keyboard.press("/");
    await page.keyboard.type("teapot");
    await page.waitForURL("**/?q=teapot");
    await page.waitForFunction(() => document.querySelectorAll(".row:not([hidden]) .cell:not([hidden])").length === 1);
    await page.goBack();
    await page.waitForFunction(() => document.querySelector("#search-field").value === "");
    await page.getByRole("button", { name: /^Rejected/ }).click();
    await page.waitForURL("**/?state=rejected");
    await page.locator('.cell[data-state="rejected"]').first().waitFor();
    const { total, counts } = await lab.ask("/v1/assets?state=rejected");
    assert.equal(await page.locator('[aria-pressed="true"] .count').first().textContent(), String(counts.rejected));
    assert.equal(total, counts.rejected);
    await visit(page, lab, "?q=nothing-is-called-so", ".empty h2");
    assert.match(await page.locator(".empty h2").textContent(), /nothing-is-called-so/);
  },

  async "tells why a file was refused that has nothing to open"({ page, lab }) {
    await visit(page, lab, "?q=unfinished", cells);
    const [unread] = (await lab.ask("/v1/assets?q=unfinished")).assets;
    assert.deepEqual([unread.state, unread.sha256], ["rejected", null]);
    await page.locator(cells).first().click();
    await page.locator(".toast").getByText(unread.problems[0].message).waitFor();
    assert.equal(await page.locator(".panel:visible").count(), 0);
  },

  async "keeps the chosen state in sight on a phone"({ browser, lab }) {
    const { context, page, faults } = await visitor(browser, { viewport: { width: 390, height: 844 } });
    await signIn(page, lab);
    for (const state of ["not_uploaded", "rejected", "live"]) {
      await visit(page, lab, `?state=${state}`, cells);
      const [chip, chips] = await Promise.all(
        [`.chip[data-state="${state}"]`, ".chips"].map((box) => sides(page, box)),
      );
      assert.ok(chip.left >= chips.left && chip.right <= chips.right, `${state} is out of sight`);
    }
    await context.close();
    return faults;
  },

  async "is told by keyboard alone, and copies an id"({ page, lab }) {
    await visit(page, lab, "?q=examples/banners", cells);
    await page.keyboard.press("/");
    await page.keyboard.press("ArrowDown");
    const names = () => page.evaluate(() => document.activeElement.innerText.replaceAll(/\s+/g, " "));
    assert.match(await names(), /billboard\.png ?, image, rejected/);
    await page.keyboard.press("ArrowRight");
    assert.match(await names(), /^hero\.png ?, image, 89 days left/);
    await page.keyboard.press("c");
    await page.getByText("Copied the id of hero.png").first().waitFor();
    const { assets } = await lab.ask("/v1/assets?q=examples/banners/hero.png");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), assets[0].attachment_id);
    await page.keyboard.press("Enter");
    await page.locator(".panel h2").waitFor();
    assert.ok(page.url().endsWith(`asset=${assets[0].sha256}`));
    await page.locator(".snippet").getByText(assets[0].attachment_id).waitFor();
    await page.keyboard.press("ArrowRight");
    await page.locator(".panel h2", { hasText: "spring-sale.jpg" }).waitFor();
    await page.keyboard.press("Escape");
    await page.locator(".panel").waitFor({ state: "hidden" });
    assert.match(await names(), /^spring-sale\.jpg/);
    await page.keyboard.press("End");
    await page.waitForFunction(() => document.activeElement.classList.contains("cell"));
  },

  async "copies what a bot sends, and names an asset"({ page, lab }) {
    const {
      assets: [hero],
    } = await lab.ask("/v1/assets?q=examples/banners/hero.png");
    await visit(page, lab, `?asset=${hero.sha256}`, ".snippet");
    await page.getByRole("tab", { name: "curl" }).click();
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await page.getByText("Copied the curl snippet").first().waitFor();
    const snippet = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(snippet.startsWith(`curl -X POST 'https://graph.facebook.com/v25.0/${hero.page_id}/messages'`), snippet);
    const sent = JSON.parse(/-d '(.*)'$/s.exec(snippet)[1]);
    assert.deepEqual(sent.message, { attachment: { type: "image", payload: { attachment_id: hero.attachment_id } } });
    await page.getByLabel("New alias").fill("front-page");
    await page.keyboard.press("Enter");
    await page.locator(".tag", { hasText: "@front-page" }).waitFor();
    assert.ok((await lab.ask("/v1/aliases")).aliases.some(({ alias }) => alias === "front-page"));
    await page.getByRole("button", { name: "Remove alias front-page" }).click();
    await page.getByRole("button", { name: "Remove", exact: true }).click();
    await page.locator(".tag", { hasText: "@front-page" }).waitFor({ state: "detached" });
    assert.ok(!(await lab.ask("/v1/aliases")).aliases.some(({ alias }) => alias === "front-page"));
  },

  async "says why an asset is refused"({ page, lab }) {
    const {
      assets: [billboard],
    } = await lab.ask("/v1/assets?q=examples/banners/billboard.png");
    await visit(page, lab, `?asset=${billboard.sha256}`, ".panel .problem");
    assert.match(
      await page.locator(".panel .problem").textContent(),
      /too many pixels: .*90,000,000 pixels.*scale it down/,
    );
  },

  async "scrolls ten thousand assets"({ page, lab }) {
    await visit(page, lab, "", cells);
    assert.ok((await lab.ask("/v1/assets?limit=1")).total >= ARCHIVE);
    for (const step of [60, 300, 1500]) {
      const { frames, work } = await scrolled(page, step);
      console.log(
        `        ${frames.toFixed(1)} frames a second at ${step} px a frame, ${work.toFixed(1)} ms of a processor for each`,
      );
      // A machine that has more to do than it can says nothing of the page; what a frame takes of it does.
      const isBusy = loadavg()[0] > availableParallelism();
      assert.ok(
        frames >= LEAST_FRAMES || (isBusy && work <= 1000 / LEAST_FRAMES),
        `${frames} frames a second, ${work} ms each`,
      );
    }
    await page.waitForFunction(() => !document.querySelector('.row:not([hidden]) .cell[aria-busy="true"]'));
    const elements = await page.evaluate(() => document.querySelectorAll("*").length);
    assert.ok(elements < 3000, `${elements} elements`);
    await page.evaluate(() => (document.querySelector(".scroller").scrollTop = 1e9));
    const {
      assets: [last],
    } = await lab.ask(`/v1/assets?limit=1&offset=${(await lab.ask("/v1/assets?limit=1")).total - 1}`);
    await page.locator(cells, { hasText: last.name }).waitFor();
  },

  async "takes three files that are dropped, and says why it refuses one"({ page, lab }) {
    await visit(page, lab, "", cells);
    const before = (await lab.ask("/v1/assets?limit=1")).total;
    const files = [
      ["dropped-a.png", hills(901)],
      ["dropped-b.png", hills(902)],
      ["billboard-again.png", readFileSync(join(lab.tulips, "examples/banners/billboard.png"))],
    ];
    const transfer = await page.evaluateHandle(
      (list) => {
        const data = new DataTransfer();
        for (const [name, base64] of list)
          data.items.add(
            new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name, { type: "image/png" }),
          );
        return data;
      },
      files.map(([name, bytes]) => [name, bytes.toString("base64")]),
    );
    await page.dispatchEvent("main", "dragenter", { dataTransfer: transfer });
    const target = page.locator(".target", { hasText: "tulips" });
    await target.dispatchEvent("dragover", { dataTransfer: transfer });
    await target.dispatchEvent("drop", { dataTransfer: transfer });
    await page.locator(".tray h2", { hasText: "2 files in, 1 not" }).waitFor();
    const refused = page.locator(".tray li", { hasText: "billboard-again.png" });
    assert.match(await refused.textContent(), /90,000,000 pixels; Meta takes at most 85,000,000/);
    assert.ok((await lab.ask("/v1/assets?limit=1")).total >= before + 2);
    await page.locator(".chip .count").first().waitFor();
    const {
      assets: [uploaded],
    } = await lab.ask("/v1/assets?q=dropped-a.png");
    assert.equal(uploaded.state, "live");
    await visit(page, lab, "?q=dropped-a.png", cells);
  },

  async "plays film and sound"({ page, lab }) {
    for (const [name, sign] of [
      ["sunrise.mp4", "video"],
      ["chime.mp3", "audio"],
    ]) {
      const {
        assets: [asset],
      } = await lab.ask(`/v1/assets?q=${name}`);
      await visit(page, lab, `?asset=${asset.sha256}`, `.preview ${sign}`);
      await page.waitForFunction((player) => document.querySelector(player).duration > 0, sign);
      await page.evaluate((player) => document.querySelector(player).play(), sign);
      await page.waitForFunction((player) => document.querySelector(player).currentTime > 0, sign);
    }
  },

  async "changes nothing for those who may only look"({ browser, lab }) {
    const { context, page, faults } = await visitor(browser);
    await page.goto(`${lab.url}/#token=${lab.reader()}`);
    await page.locator(cells).first().waitFor();
    const {
      assets: [hero],
    } = await lab.ask("/v1/assets?q=examples/banners/hero.png");
    await visit(page, lab, `?asset=${hero.sha256}`, ".snippet");
    await page.locator(".tag", { hasText: "@hero" }).waitFor();
    for (const name of ["Upload files", "Upload it", "Add", "Remove alias hero"]) {
      assert.equal(await page.getByRole("button", { name, exact: true }).count(), 0, name);
    }
    await context.close();
    return faults;
  },

  async "shows which days ids end on, and what ends on one"({ page, lab }) {
    await visit(page, lab, "?view=expiry", "button.day");
    const day = page.locator("button.day").first();
    const count = Number(await day.locator("b").textContent());
    await day.click();
    await page.waitForURL("**/?expires=*");
    await page.locator(cells).first().waitFor();
    await page.waitForFunction(
      (wanted) => document.querySelectorAll(".row:not([hidden]) .cell:not([hidden])").length === wanted,
      count,
    );
  },

  async "shows which files are kept twice"({ page, lab }) {
    await visit(page, lab, "?view=duplicates", ".double");
    const text = await page.locator(".double").allTextContents();
    assert.ok(
      text.some((one) => one.includes("season cover.png")),
      text.join("\n"),
    );
  },

  async "folds up a long list of copies"({ page, lab }) {
    const paths = Array.from({ length: 100 }, (_, place) => `archive/copy-${place}.png`);
    const group = { sha256: "0".repeat(64), size_bytes: 1000, copies: 100, wasted_bytes: 99_000, paths };
    await page.route("**/v1/duplicates", (route) => route.fulfill({ json: { groups: [group], wasted_bytes: 99_000 } }));
    await visit(page, lab, "?view=duplicates", ".double");
    const listed = () => page.locator(".double li").filter({ visible: true }).count();
    assert.equal(await listed(), 6);
    await page.getByText("and 94 more").click();
    assert.equal(await listed(), 100);
    await page.unroute("**/v1/duplicates");
  },

  async "shows where long names differ"({ page, lab }) {
    const names = [1, 2].map((which) => `the-banner-of-our-great-summer-sale-in-the-old-town-${which}.png`);
    for (const [place, name] of names.entries()) writeFileSync(join(lab.tulips, name), hills(910 + place));
    await visit(page, lab, "?q=great-summer-sale", cells);
    for (const name of names) {
      const cell = page.locator(cells, { hasText: name });
      const [end, box] = await Promise.all(
        [".cut > :last-child", ".name"].map((part) =>
          cell.locator(part).evaluate((one) => one.getBoundingClientRect().toJSON()),
        ),
      );
      assert.ok(end.width > 0 && end.right <= box.right, `the end of ${name} is out of sight`);
      assert.ok(name.endsWith(await cell.locator(".cut > :last-child").textContent()));
    }
    for (const name of names) rmSync(join(lab.tulips, name));
  },

  async "says when the service is away, and when it is back"({ browser, page: other, lab }) {
    await other.goto("about:blank");
    const { context, page, faults } = await visitor(browser);
    await signIn(page, lab);
    const again = await lab.restart();
    await page.getByRole("alert").getByText("The service does not answer.").waitFor();
    const [notice, filters] = await Promise.all([".away", ".filters"].map((box) => sides(page, box)));
    assert.ok(notice.bottom <= filters.top, "the filters are covered");
    await page.getByRole("link", { name: "Duplicates" }).click();
    await page.getByRole("heading", { name: "Not here yet" }).waitFor();
    assert.equal(await page.locator(".toast").count(), 0);
    await again();
    await page.getByRole("alert").waitFor({ state: "detached" });
    await page.locator(".double").first().waitFor();
    await context.close();
    return faults.filter((fault) => !fault.includes("ERR_") && !fault.includes("event-stream"));
  },
};

/** Whether somebody looks at a page. A browser without windows shows all it has. */
const looksAt = (page, shown) =>
  page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
  }, !shown);

const sides = (page, box) => page.locator(box).evaluate((element) => element.getBoundingClientRect().toJSON());

/** How many frames a second a page has at its best of three, since others on the machine only ever take some away; and
 * how many milliseconds of a processor each took the browser's page. */
async function scrolled(page, step) {
  const wire = await page.context().newCDPSession(page);
  await wire.send("Performance.enable");
  const spent = async () =>
    (await wire.send("Performance.getMetrics")).metrics.find(({ name }) => name === "ProcessTime").value * 1000;
  let best = { frames: 0, work: Infinity };
  for (let run = 0; run < 3 && best.frames < 55; run += 1) {
    const before = await spent();
    const { count, seconds } = await page.evaluate(scroll, step);
    const [frames, work] = [count / seconds, ((await spent()) - before) / count];
    best = { frames: Math.max(best.frames, frames), work: Math.min(best.work, work) };
  }
  await wire.detach();
  return best;
}

/** Scrolls for two seconds, `step` pixels a frame. */
function scroll(step) {
  const scroller = document.querySelector(".scroller");
  scroller.scrollTop = 0;
  return new Promise((resolve) => {
    let [count, begun] = [0, 0];
    const frame = (now) => {
      begun ||= now;
      scroller.scrollTop += step;
      count += 1;
      if (now - begun < 2000) requestAnimationFrame(frame);
      else resolve({ count, seconds: (now - begun) / 1000 });
    };
    requestAnimationFrame(frame);
  });
}
