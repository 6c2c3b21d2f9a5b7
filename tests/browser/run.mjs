// The gallery page in a real browser, against the real program: `node run.mjs BINARY [SCREENSHOTS]`, after `npm ci`.
// With a folder for screenshots, those of the documentation are taken anew.

import assert from "node:assert/strict";

import * as attacks from "./attacks.mjs";
import { drawsNoMore, launch, signIn, soon, visitor } from "./browser.mjs";
import * as campaign from "./campaign.mjs";
import * as gallery from "./gallery.mjs";
import { open } from "./lab.mjs";
import * as looks from "./looks.mjs";

// In this order: what is looked at last is what the others have made.
const SUBJECTS = [gallery, campaign, attacks, looks];

const [binary, screenshots] = process.argv.slice(2);
assert.ok(binary, "usage: node run.mjs BINARY [SCREENSHOTS]");
const lab = await open(binary);
let browser, page, faults;
let failures = 0;
try {
  await sitDown();
  for (const [name, check] of SUBJECTS.flatMap(({ checks }) => Object.entries(checks))) {
    try {
      await play(check).catch(async (error) => {
        if (!(await drawsNoMore(page))) throw error;
        console.log(`again   ${name}: the browser drew no more\n${error.stack}`);
        await sitDown();
        await play(check);
      });
      console.log(`ok      ${name}`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
      await sitDown();
    }
  }
} finally {
  await browser?.close();
  await lab.close();
}
console.log(failures === 0 ? "every check passed" : `${failures} checks failed`);
// What a check that was given up still waits for keeps nobody.
process.exit(failures === 0 ? 0 : 1);

/** Before a browser that no check has touched. */
async function sitDown() {
  await browser?.close();
  browser = await launch();
  ({ page, faults } = await visitor(browser));
  await signIn(page, lab);
}

async function play(check) {
  const more = (await soon(check({ browser, lab, page, screenshots }))) ?? [];
  assert.deepEqual([...faults.splice(0), ...more], [], "the browser complains");
}
