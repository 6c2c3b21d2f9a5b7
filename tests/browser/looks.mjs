// Every view, in light and in dark, for every eye; and as pictures for the documentation.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { accessible, signIn, visit, visitor } from "./browser.mjs";

const cells = ".cell[data-state]";

async function views(lab) {
  const {
    assets: [hero],
  } = await lab.ask("/v1/assets?q=examples/banners/spring-sale");
  return [
    ["library", "?q=tulips&sort=size", cells],
    ["list", "?layout=list&sort=expires", cells],
    ["asset", `?q=tulips&sort=size&asset=${hero.sha256}`, ".snippet"],
    ["nothing", "?q=nothing-is-called-so", ".empty h2"],
    ["expiry", "?view=expiry", "button.day"],
    ["duplicates", "?view=duplicates", ".double"],
    ["campaigns", "?view=campaigns", "a.campaign"],
    ["campaign", "?view=campaigns&campaign=spring-sale", ".curve.sent"],
  ];
}

/** What is shown in the documentation: a view, a scheme, a width. */
const SHOWN = new Set(["library light", "asset dark", "campaign light", "expiry light", "library phone"]);
const SIZES = {
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  phone: { colorScheme: "light", viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true },
};

async function look(browser, lab, size, screenshots) {
  const { context, page, faults } = await visitor(browser, SIZES[size]);
  await signIn(page, lab);
  for (const [name, query, sign] of await views(lab)) {
    await visit(page, lab, query, sign);
    await page.waitForFunction(() => [...document.images].every((image) => image.hidden || image.complete));
    await accessible(page, `${name} ${size}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (wide) faults.push(`${name} ${size} is wider than the window`);
    if (!screenshots || !SHOWN.has(`${name} ${size}`)) continue;
    mkdirSync(screenshots, { recursive: true });
    await page.screenshot({ path: join(screenshots, `${name}-${size}.png`), animations: "disabled" });
  }
  await page.keyboard.press("?");
  await page.locator("dialog").waitFor();
  await accessible(page, `keys ${size}`);
  await context.close();
  return faults;
}

export const checks = {
  "is for everybody in light colours": ({ browser, lab, screenshots }) => look(browser, lab, "light", screenshots),
  "is for everybody in dark colours": ({ browser, lab, screenshots }) => look(browser, lab, "dark", screenshots),
  "is for everybody on a phone": ({ browser, lab, screenshots }) => look(browser, lab, "phone", screenshots),
};
