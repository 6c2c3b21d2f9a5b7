// The gallery page in a real browser, against the real program: `node run.mjs BINARY [SCREENSHOTS]`, after `npm ci`.
// With a folder for screenshots, those of the documentation are taken anew.

import assert from "node:assert/strict";

import * as attacks from "./attacks.mjs";
import { launch, signIn, visitor } from "./browser.mjs";
import * as campaign from "./campaign.mjs";
import * as gallery from "./gallery.mjs";
import { open } from "./lab.mjs";
import * as looks from "./looks.mjs";

// In this order: what is looked at last is what the others have made.
const SUBJECTS = [gallery, campaign, attacks, looks];

const [binary, screenshots] = process.argv.slice(2);
assert.ok(binary, "usage: node run.mjs BINARY [SCREENSHOTS]");
const lab = await open(binary);
const browser = await launch();
let failures = 0;
try {
  const { page, faults } = await visitor(browser);
  await signIn(page, lab);
  for (const [name, check] of SUBJECTS.flatMap(({ checks }) => Object.entries(checks))) {
    try {
      const more = (await check({ browser, lab, page, screenshots })) ?? [];
      assert.deepEqual([...faults.splice(0), ...more], [], "the browser complains");
      console.log(`ok      ${name}`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
  }
} finally {
  await browser.close();
  await lab.close();
}
console.log(failures === 0 ? "every check passed" : `${failures} checks failed`);
process.exitCode = failures === 0 ? 0 : 1;
