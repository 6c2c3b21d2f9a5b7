// A campaign as it is followed.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { signIn, visit, visitor } from "./browser.mjs";

const PEOPLE = 120;
const people = Array.from({ length: PEOPLE }, (_, place) => String(1_254_459_154_000_000 + place));

/** Plans and sends a campaign; some messages fail, and of one nobody knows. Resolves when its process has ended. */
async function send(lab, name, { unknown = null, pace = 30 } = {}) {
  writeFileSync(join(lab.folder, "recipients.csv"), `recipient\n${people.join("\n")}\n`);
  writeFileSync(
    join(lab.folder, `${name}.toml`),
    `name = "${name}"
recipients = "recipients.csv"
[[message]]
file = "tulips/examples/banners/hero.png"
[limits]
messages_per_second = ${pace}
`,
  );
  await lab.control("people", [
    { id: people[7], error: "551/1545041" },
    { id: people[31], error: "551/1545041" },
  ]);
  if (unknown) await lab.control("faults", { on: "send", when: "after", recipient: unknown, fault: { reset: true } });
  const child = lab.start("campaign", "run", `${name}.toml`, "--yes");
  return new Promise((resolve) => child.once("exit", resolve));
}

const figures = (page) =>
  page
    .locator(".figures > div")
    .evaluateAll((all) =>
      Object.fromEntries(all.map((one) => [one.firstChild.textContent, one.lastChild.textContent])),
    );
/** What lies beyond the window's edge, but for what scrolls there. */
const beyond = (page) =>
  page
    .locator("main *")
    .evaluateAll((all) =>
      all
        .filter((one) => !one.closest(".wide, svg, .unseen") && one.getBoundingClientRect().right > innerWidth)
        .map((one) => one.outerHTML.slice(0, 80)),
    );
const inState = (page, words) => page.locator(".state", { hasText: words }).waitFor({ timeout: 60_000 });

export const checks = {
  async "follows a campaign to its end"({ page, lab }) {
    await visit(page, lab, "?view=campaigns", "main h1");
    const ended = send(lab, "spring-sale");
    await page.locator("a.campaign", { hasText: "spring-sale" }).click();
    await page.waitForURL("**campaign=spring-sale");
    await page.locator(".figures").waitFor();
    await inState(page, "Finished");
    await ended;
    assert.deepEqual(await figures(page), {
      Sent: String(PEOPLE - 2),
      Failed: "2",
      Unknown: "0",
      Skipped: "0",
      Pending: "0",
    });
    await page.getByRole("heading", { name: "Why some failed" }).waitFor();
    assert.match(await page.locator("main").textContent(), /551\/1545041/);
    assert.equal(await page.locator(".curve.sent").count(), 1);
    const label = await page.locator("svg.chart").first().getAttribute("aria-label");
    assert.equal(label, `Sent over time: ${PEOPLE - 2} sent`);
  },

  async "pauses a campaign, goes on with it, and settles what is unknown"({ page, lab }) {
    // Slow enough that nobody is too slow to pause it.
    const ended = send(lab, "thank-you", { unknown: people[3], pace: 5 });
    await visit(page, lab, "?view=campaigns", "main h1");
    await page.locator("a.campaign", { hasText: "thank-you" }).click();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.locator("dialog").getByRole("button", { name: "Pause" }).click();
    await inState(page, "Paused");
    await page.waitForFunction(() => document.activeElement.textContent === "Resume");
    assert.match(await page.locator(".notice").textContent(), /^Paused: by hand at \w+ \d+, \d+/);
    await ended;
    const { sent } = await lab.ask("/v1/campaigns/thank-you");
    assert.ok(sent < PEOPLE - 3, `${sent} were sent before the pause`);
    await page.getByRole("button", { name: "Resume" }).click();
    await page.locator("dialog").getByRole("button", { name: "Resume" }).click();
    await inState(page, "Needs settling");
    assert.equal((await figures(page)).Unknown, "1");
    await page.getByRole("cell", { name: people[3] }).waitFor();
    await page.getByRole("button", { name: "They were sent" }).click();
    await page.locator("dialog").getByRole("button", { name: "They were sent" }).click();
    await inState(page, "Finished");
    assert.deepEqual(await figures(page), {
      Sent: String(PEOPLE - 2),
      Failed: "2",
      Unknown: "0",
      Skipped: "0",
      Pending: "0",
    });
  },

  async "fits campaigns into a narrow window, and draws no curve of one moment"({ browser, lab }) {
    const { context, page, faults } = await visitor(browser, { viewport: { width: 320, height: 640 } });
    await signIn(page, lab);
    await visit(page, lab, "?view=campaigns", "a.campaign");
    assert.deepEqual(await beyond(page), []);
    const widths = await page.locator("a.campaign b").evaluateAll((all) => all.map((one) => one.clientWidth));
    assert.ok(Math.min(...widths) > 200, `names are ${widths} wide`);
    await visit(page, lab, "?view=campaigns&campaign=spring-sale", ".curve.sent");
    assert.deepEqual(await beyond(page), []);
    await page.route("**/v1/campaigns/spring-sale", async (route) => {
      const response = await route.fetch();
      const campaign = await response.json();
      await route.fulfill({ response, json: { ...campaign, history: campaign.history.slice(0, 1) } });
    });
    await page.reload();
    await page.getByText("There is no curve").waitFor();
    assert.equal(await page.locator("svg.chart:visible").count(), 0);
    await context.close();
    return faults;
  },

  async "says what a resume may cost where the record may be an older copy"({ page, lab }) {
    await page.route("**/v1/campaigns/thank-you", async (route) => {
      const response = await route.fetch();
      const campaign = await response.json();
      await route.fulfill({ response, json: { ...campaign, state: "paused", paused_for: "lost", pending: 5 } });
    });
    await visit(page, lab, "?view=campaigns&campaign=thank-you", ".figures");
    await page.getByRole("button", { name: "Resume" }).click();
    assert.match(await page.locator("dialog").textContent(), /Who has one anyway gets another\./);
    await page.keyboard.press("Escape");
    await page.unroute("**/v1/campaigns/thank-you");
  },

  async "says that a campaign is not there"({ browser, lab }) {
    const { context, page, faults } = await visitor(browser);
    await signIn(page, lab);
    await visit(page, lab, "?view=campaigns&campaign=nobodys", ".empty h2");
    assert.match(await page.locator("main").textContent(), /nobodys/);
    assert.equal(await page.locator(".figures:visible, svg.chart:visible, .toast").count(), 0);
    await page.locator("main").getByRole("link", { name: "Campaigns" }).click();
    await page.locator("a.campaign").first().waitFor();
    await context.close();
    return faults.filter((fault) => !fault.includes("404"));
  },
};
