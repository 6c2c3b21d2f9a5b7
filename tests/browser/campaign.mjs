// A campaign as it is followed.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { visit } from "./browser.mjs";

const PEOPLE = 120;

/** Plans and sends a campaign in which some messages fail; resolves when its process has ended. */
export async function send(lab, name) {
  const people = Array.from({ length: PEOPLE }, (_, place) => String(1_254_459_154_000_000 + place));
  writeFileSync(join(lab.folder, "recipients.csv"), `recipient\n${people.join("\n")}\n`);
  await lab.control("people", [{ id: people[7], error: "551/1545041" }, { id: people[31], error: "551/1545041" }]);
  const child = lab.start("campaign", "run", "--name", name, "--to", "recipients.csv", "--file", "tulips/examples/banners/hero.png", "--yes");
  return new Promise((resolve) => child.once("exit", resolve));
}

export const checks = {
  async "follows a campaign to its end"({ page, lab }) {
    await visit(page, lab, "?view=campaigns", "main h1");
    const ended = send(lab, "spring-sale");
    await page.locator("a.campaign", { hasText: "spring-sale" }).click();
    await page.waitForURL("**campaign=spring-sale");
    await page.locator(".figures").waitFor();
    await page.locator(".state", { hasText: "Finished" }).waitFor({ timeout: 60_000 });
    await ended;
    const figures = Object.fromEntries(await page.locator(".figures > div").evaluateAll((all) => all.map((one) => [one.firstChild.textContent, one.lastChild.textContent])));
    assert.deepEqual(figures, { Sent: String(PEOPLE - 2), Failed: "2", Unknown: "0", Skipped: "0", Pending: "0" });
    await page.getByRole("heading", { name: "Why some failed" }).waitFor();
    assert.match(await page.locator("main").textContent(), /551\/1545041/);
    assert.equal(await page.locator(".curve.sent").count(), 1);
    const label = await page.locator("svg.chart").first().getAttribute("aria-label");
    assert.equal(label, `Sent over time: ${PEOPLE - 2} sent`);
  },
};
