// What another site, a file or a name could make a browser do that is signed in. An attack is made where it has to
// succeed as well, most of them on the service's careless twin: what fails everywhere is none.

import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { signIn, visit, visitor } from "./browser.mjs";
import { careless, foreign, NAMES } from "./hostile.mjs";
import { hills } from "./pictures.mjs";

const cells = ".cell[data-state]";

/** Text that does something once it is taken for markup. Files may be called so: it has no slash. */
const TEXT = "<img src=x onerror=alert('ran')>";
const MARKUP = `"'>${TEXT}`;
const UNSAFE = "[onerror], [href^='javascript:' i], [src^='javascript:' i]";

/** Somebody who is signed in, a foreign site, and the twin. */
function against(attack, options) {
  return async ({ browser, lab }) => {
    const [site, twin] = [await foreign(), await careless(lab)];
    const { context, page } = await visitor(browser, options);
    try {
      await signIn(page, lab);
      await attack({ lab, context, page, site, twin });
    } finally {
      await context.close();
      site.close();
      twin.close();
    }
  };
}

/** All that could have changed: the record, the folder, what Meta was told. */
async function stand(lab) {
  const { counters } = await (await fetch(`${lab.graph.url}/__sandbox/state?messages=false`)).json();
  const { aliases } = await lab.ask("/v1/aliases");
  const { total, counts } = await lab.ask("/v1/assets?limit=1");
  const { campaigns } = await lab.ask("/v1/campaigns");
  return {
    told: [counters.uploads_accepted, counters.messages_accepted],
    names: aliases.map(({ alias, sha256 }) => [alias, sha256]),
    assets: { total, ...counts },
    campaigns: campaigns.map(({ name, state, sent }) => [name, state, sent]),
    files: readdirSync(lab.tulips, { recursive: true }).sort(),
  };
}

/** A campaign to two people of which nothing is sent yet. */
function plan(lab, name, recipients = ["1254459154999001", "1254459154999002"]) {
  writeFileSync(join(lab.folder, "few.csv"), `recipient\n${recipients.join("\n")}\n`);
  writeFileSync(
    join(lab.folder, `${name}.toml`),
    `name = "${name}"\nrecipients = "few.csv"\n[[message]]\ntext = "You have won"\n`,
  );
  lab.run("campaign", "plan", `${name}.toml`);
}

export const checks = {
  "does nothing a form on another site asks for": against(async ({ lab, page, site, twin }) => {
    plan(lab, "raffle");
    const forms = [
      ["/v1/messages", "text/plain", '{"recipient":{"id":"1254459154999003"},"message":{"text":"', '"}}'],
      ["/v1/assets", "multipart/form-data", "file", hills(903).toString("base64")],
      ["/v1/campaigns/raffle/pause", "application/x-www-form-urlencoded", "because", "I say so"],
      ["/v1/campaigns/raffle/resume", "application/x-www-form-urlencoded", "because", "I say so"],
    ];
    const send = async (name, target, form) => {
      await page.goto(`http://${name}:${site.port}/`);
      const [response] = await Promise.all([page.waitForNavigation(), page.evaluate(submit, [target, ...form])]);
      return [response.status(), "cookie" in (await response.request().allHeaders())];
    };
    const before = await stand(lab);
    for (const name of NAMES) {
      for (const form of forms) {
        // To another port of the same site a browser sends the cookie along.
        assert.deepEqual(await send(name, lab.url, form), [403, name === "127.0.0.1"], `${form[0]} from ${name}`);
      }
    }
    assert.deepEqual(await stand(lab), before);
    for (const form of forms) assert.equal((await send("evil.example", twin.url, form))[0], 200, form[0]);
    await visit(page, lab, "?view=campaigns&campaign=raffle", ".state");
    await page.locator(".state", { hasText: "Finished" }).waitFor();
    const after = await stand(lab);
    assert.deepEqual(after.told, [before.told[0] + 1, before.told[1] + 3]);
  }),

  "answers no script of another site": against(async ({ lab, page, site, twin }) => {
    const { sha256, attachment_id: id } = await hero(lab);
    const headers = { "content-type": "application/json", "x-reattach-csrf": "0" };
    const asks = [
      ["/v1/assets?q=examples/banners/hero.png", {}],
      ["/v1/session", {}],
      ["/v1/messages", { method: "POST", body: '{"recipient":{"id":"1254459154999004"},"message":{"text":"Hi"}}' }],
      ["/v1/aliases/prize", { method: "PUT", headers, body: JSON.stringify({ ref: `sha256:${sha256}` }) }],
      ["/v1/aliases/prize", { method: "DELETE" }],
    ];
    const before = await stand(lab);
    for (const name of NAMES) {
      await page.goto(`http://${name}:${site.port}/`);
      assert.deepEqual(await page.evaluate(ask, [lab.url, asks]), Array(asks.length).fill(null), name);
    }
    assert.deepEqual(await stand(lab), before);
    const [asset, session, sent, set, removed] = await page.evaluate(ask, [twin.url, asks]);
    assert.ok(asset.text.includes(id) && session.text.includes('"scope":"send"'), asset.text + session.text);
    assert.deepEqual([sent.status, set.status, removed.status], [200, 200, 200]);
    assert.equal((await stand(lab)).told[1], before.told[1] + 1);
  }),

  "is nobody's whose name leads to this machine": against(async ({ lab, page, twin }) => {
    const asks = ["/v1/assets?limit=1", "/v1/session", "/", "/page/app.js", "/openapi.json"].map((path) => [path, {}]);
    // A page from before the name led here would be of the origin of what is shown there now.
    const rebound = async (port) => {
      const there = await page.goto(`http://evil.example:${port}/`);
      assert.equal((await there.request().allHeaders()).cookie, undefined);
      return [there.status(), ...(await page.evaluate(ask, ["", asks]))];
    };
    const [status, ...answers] = await rebound(new URL(lab.url).port);
    assert.deepEqual([status, ...answers.map((answer) => answer.status)], Array(asks.length + 1).fill(421));
    for (const { text } of answers) assert.equal(JSON.parse(text).type, "urn:reattach:problem:misdirected", text);
    const [, assets] = await rebound(twin.port);
    assert.match(assets.text, /attachment_id/);
  }),

  "is not framed": against(async ({ lab, page, site, twin }) => {
    const { sha256 } = await hero(lab);
    const paths = ["/", `/v1/assets/${sha256}/content`, "/openapi.json"];
    for (const name of NAMES) {
      for (const tag of ["iframe", "object"]) {
        await page.goto(`http://${name}:${site.port}/`);
        await page.evaluate(frame, [tag, paths.map((path) => lab.url + path)]);
        const [, ...frames] = page.frames();
        const shown = frames.map((inner) => inner.url()).filter((url) => url.startsWith(lab.url));
        assert.deepEqual(shown, [], `${tag} from ${name}`);
      }
    }
    for (const tag of ["iframe", "object"]) {
      await page.goto(`${site.url}/`);
      await page.evaluate(frame, [tag, paths.map((path) => twin.url + path)]);
      await page.frames()[1].locator(cells).first().waitFor();
    }
  }),

  "lends no part of it to another page": against(async ({ lab, page, site, twin }) => {
    const { sha256 } = await hero(lab);
    const film = (await lab.ask("/v1/assets?q=sunrise.mp4")).assets[0].sha256;
    const parts = [
      ["img", `/v1/assets/${sha256}/thumbnail`],
      ["img", `/v1/assets/${sha256}/content`],
      ["video", `/v1/assets/${film}/content`],
      ["script", "/page/scheme.js"],
      ["link", "/page/app.css"],
    ];
    // What the browser has kept is no way around.
    await visit(page, lab, `?q=examples/banners/hero.png&asset=${sha256}`, ".preview img");
    await page.waitForFunction(() => [...document.images].every((image) => image.complete));
    for (const name of NAMES) {
      await page.goto(`http://${name}:${site.port}/`);
      assert.deepEqual(await page.evaluate(include, [lab.url, parts]), Array(parts.length).fill("refused"), name);
    }
    assert.deepEqual(await page.evaluate(include, [twin.url, parts]), [320, 1200, 480, "used", "used"]);
  }),

  "tells another page nothing of what happens": against(async ({ lab, page, site, twin }) => {
    const { sha256 } = await hero(lab);
    for (const name of NAMES) {
      await page.goto(`http://${name}:${site.port}/`);
      await page.evaluate(listen, [lab.url, twin.url]);
      await page.waitForFunction(() => globalThis.sources[1].readyState === EventSource.OPEN);
      await change(lab, "PUT", `/v1/aliases/${name}`, { ref: `sha256:${sha256}` });
      await lab.ask("/v1/assets?limit=1");
      await page.waitForFunction(() => globalThis.heard[1].length > 0);
      const [heard, state] = await page.evaluate(() => [globalThis.heard[0], globalThis.sources[0].readyState]);
      assert.deepEqual([heard, state], [[], 2], name);
      await change(lab, "DELETE", `/v1/aliases/${name}`);
    }
  }),

  // Nothing but the page itself is in the way here: no policy refuses what becomes markup.
  "shows markup as the text it is": against(
    async ({ lab, context, page }) => {
      const ran = [];
      page.on("dialog", (dialog) => ran.push(dialog.message()) && dialog.dismiss());
      const shows = async (sign) => {
        await page.locator(sign).getByText(TEXT).filter({ visible: true }).first().waitFor();
        assert.equal(await page.locator(UNSAFE).count(), 0, `${page.url()} ${sign}`);
      };
      const shelf = join(lab.tulips, MARKUP);
      mkdirSync(shelf);
      try {
        for (const end of [".png", " again.png"]) writeFileSync(join(shelf, MARKUP + end), hills(905));
        writeFileSync(join(shelf, `${MARKUP} cut.png`), hills(906).subarray(0, 999));
        await trouble(lab);
        await context.route(NAMED, rename);
        await visit(page, lab, "?q=onerror", cells);
        await shows(".cell");
        const { assets } = await lab.ask("/v1/assets?q=onerror");
        assert.equal(assets.length, 2);
        const [text, { sha256 }] = [encodeURIComponent(MARKUP), await hero(lab)];
        const views = [
          ["?q=onerror&layout=list", ".where"],
          ...assets.map((asset) => [`?asset=${asset.sha256}`, ".panel h2", ".facts"]),
          [`?asset=${sha256}`, ".tag", ".upload"],
          ["?view=duplicates", ".double"],
          ["?view=campaigns", "a.campaign"],
          ["?view=campaigns&campaign=trouble", "td code", ".words", ".facts"],
          [`?view=campaigns&campaign=${text}`, "h1"],
          [`?q=${text}%20nowhere`, ".empty h2"],
          [`?asset=${text}&state=${text}&kind=${text}&page=${text}&sort=${text}`, ".toast"],
        ];
        for (const [query, ...signs] of views) {
          await visit(page, lab, query, signs[0]);
          for (const sign of signs) await shows(sign);
        }
        await visit(page, lab, `?asset=${sha256}`, ".panel");
        await page.getByLabel("New alias").fill(MARKUP);
        await page.keyboard.press("Enter");
        await shows(".wrong");
        await page.getByRole("button", { name: "Upload files" }).click();
        await shows("dialog");
        await page.keyboard.press("Escape");
        const file = { name: `${MARKUP}.png`, mimeType: "image/png", buffer: Buffer.alloc(0) };
        await page.getByLabel("Files to upload").setInputFiles(file);
        await page.locator(".tray h2", { hasText: "1 not" }).waitFor();
        await shows(".tray li");
      } finally {
        await context.unrouteAll({ behavior: "ignoreErrors" });
        for (const made of [shelf, `${shelf}.png`]) rmSync(made, { recursive: true, force: true });
      }
      assert.deepEqual(ran, []);
      await page.evaluate(insert, MARKUP);
      assert.deepEqual(ran, ["ran"]);
    },
    { bypassCSP: true },
  ),

  "runs nothing that became markup all the same": against(async ({ page, twin }) => {
    const ran = [];
    page.on("dialog", (dialog) => ran.push(dialog.message()) && dialog.dismiss());
    await page.evaluate(insert, MARKUP);
    assert.deepEqual(ran, []);
    await page.goto(`${twin.url}/`);
    await page.evaluate(insert, MARKUP);
    assert.deepEqual(ran, ["ran"]);
  }),

  "runs no script of a file": against(async ({ lab, page, site, twin }) => {
    const shelf = join(lab.tulips, "post");
    const script = (name) => `new Image().src = "${site.url}/ran?${name}";`;
    const element = (name) => `<script>${script(name)}</script>`;
    const pages = {
      "letter.html": `<!doctype html>${element("letter.html")}`,
      "drawing.svg": `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">${element("drawing.svg")}</svg>`,
    };
    const scripts = {
      "code.js": script("code.js"),
      "both.gif": `GIF89a/*${"\0".repeat(40)}*/ = 1; ${script("both.gif")}`,
    };
    mkdirSync(shelf);
    try {
      for (const [name, text] of Object.entries({ ...pages, ...scripts })) writeFileSync(join(shelf, name), text);
      await visit(page, lab, "?q=tulips/post/", cells);
      const { assets } = await lab.ask("/v1/assets?q=tulips/post/");
      assert.equal(assets.length, 4);
      const content = (name) => `/v1/assets/${assets.find((asset) => asset.name === name).sha256}/content`;
      const included = (name) => page.evaluate(include, ["", [["script", content(name)]]]);
      for (const name of Object.keys(pages)) {
        await assert.rejects(page.goto(lab.url + content(name)), /Download is starting/);
      }
      // Its own scripts each page of the service lets in.
      await page.goto(`${lab.url}/healthz`);
      for (const name of Object.keys(scripts)) assert.deepEqual(await included(name), ["refused"], name);
      assert.deepEqual(site.heard, []);
      const ran = (name) => page.waitForRequest(`${site.url}/ran?${name}`);
      for (const name of Object.keys(pages)) await Promise.all([ran(name), page.goto(twin.url + content(name))]);
      await page.goto(`${twin.url}/healthz`);
      for (const name of Object.keys(scripts)) await Promise.all([ran(name), included(name)]);
    } finally {
      rmSync(shelf, { recursive: true });
    }
  }),

  "keeps the token of its link to itself": against(async ({ lab, context, page, site }) => {
    await page.goto(`http://evil.example:${site.port}/`);
    const opened = async (address) => {
      const [other] = await Promise.all([context.waitForEvent("page"), page.evaluate(opens, address)]);
      await other.waitForLoadState();
      return other;
    };
    await opened("/#token=theirs");
    assert.match((await page.evaluate(pry))[0], /token=theirs$/);
    const other = await opened(lab.link);
    await other.locator(cells).first().waitFor();
    assert.deepEqual(await page.evaluate(pry), [null, null, null]);
    for (const name of NAMES) {
      const there = `http://${name}:${site.port}`;
      await signIn(other, lab);
      for (const path of ["/first", "/second"]) {
        await other.evaluate((to) => void (location.href = to), there + path);
        await other.waitForURL(there + path);
      }
      const referrer = (path) => site.heard.findLast(({ url }) => url === path).headers.referer;
      assert.deepEqual([referrer("/first"), referrer("/second")], [undefined, `${there}/first`]);
      await other.goBack();
      await other.goBack();
      assert.equal(other.url(), `${lab.url}/`);
    }
  }),

  // A browser tells ports of one host from each other in everything but cookies.
  "gives another port of this host nothing but the cookie": against(async ({ lab, context, page, site }) => {
    const { sha256 } = await hero(lab);
    const name = `reattach-${new URL(lab.url).port}`;
    await page.goto(`${site.url}/trap`);
    const { cookie } = site.heard.findLast(({ url }) => url === "/trap").headers;
    assert.match(cookie, new RegExp(`${name}=send`));
    const text = '{"recipient":{"id":"1254459154999006"},"message":{"text":"Hi"}}';
    const thief = async (path, more) => (await fetch(lab.url + path, { ...more, headers: { cookie } })).status;
    const before = await stand(lab);
    for (const path of ["/v1/session", "/v1/assets", "/v1/campaigns", "/v1/events", "/metrics"])
      assert.equal(await thief(path), 401, path);
    assert.equal(await thief("/v1/messages", { method: "POST", body: text }), 403);
    assert.equal(await thief(`/v1/assets/${sha256}/thumbnail`), 200);
    // Nor does what is planted there lock anybody out.
    await page.evaluate((planted) => void (document.cookie = planted), `${name}=junk; path=/v1`);
    await visit(page, lab, "", cells);
    assert.deepEqual((await context.cookies(`${lab.url}/v1/`)).map((cookie) => cookie.name), [name, name]);
    assert.deepEqual(await stand(lab), before);
  }),

  "leads nowhere else, however its address is bent": against(async ({ lab, page }) => {
    const elsewhere = encodeURIComponent("http://evil.example/");
    const more = `?next=${elsewhere}&campaign=${elsewhere}&asset=${elsewhere}`;
    await page.goto(`${lab.url}/${more}#token=${lab.token}`);
    await page.locator(cells).first().waitFor();
    assert.equal(page.url(), `${lab.url}/${more}`);
    const bent = ["//evil.example/", "/%5Cevil.example/", "/page/..//evil.example/", "/page/%2F%2Fevil.example/"];
    for (const path of bent) {
      await page.goto(lab.url + path);
      assert.equal(new URL(page.url()).origin, lab.url, path);
    }
  }),
};

/** An asset with an id. */
async function hero(lab) {
  const { assets } = await lab.ask("/v1/assets?q=examples/banners/hero.png");
  return assets[0];
}

/** A campaign that fails for somebody, for a reason that is markup; and nobody knows of somebody whose name is. */
async function trouble(lab) {
  const nobody = "1254459154999005";
  plan(lab, "trouble", [nobody, `user_ref:${MARKUP}`]);
  await lab.control("faults", [
    { on: "send", recipient: nobody, fault: { graph: { code: 100, message: MARKUP }, status: 400 } },
    { on: "send", when: "after", recipient: MARKUP, fault: { reset: true } },
  ]);
  assert.throws(() => lab.run("campaign", "resume", "trouble", "--yes"), { status: 7 });
}

/** Puts markup where the service lets nobody put it: names of aliases, campaigns, folders and Pages. */
const NAMED = /\/v1\/(session|campaigns|aliases|assets\/\w{64}$)/;
async function rename(route) {
  const response = await route.fetch();
  const body = (await response.text()).replaceAll(/"(hero|trouble|tulips|Sandbox Bakery)"/g, JSON.stringify(MARKUP));
  await route.fulfill({ response, body });
}

/** Takes text for markup. */
function insert(text) {
  document.body.insertAdjacentHTML("beforeend", text);
  return new Promise((resolve) => document.body.lastChild.addEventListener("error", resolve));
}

/** Opens a window, and keeps hold of it. */
function opens(address) {
  globalThis.opened = open(address);
}

/** What the page that opened a window sees of it. */
function pry() {
  const looks = [(other) => other.location.href, (other) => other.document.title, (other) => other.history.length];
  return looks.map((look) => {
    try {
      return look(globalThis.opened);
    } catch {
      return null;
    }
  });
}

/** What the owner does, by the token. */
const change = (lab, method, path, body) =>
  fetch(lab.url + path, { method, headers: { authorization: `Bearer ${lab.token}` }, body: JSON.stringify(body) });

/** What a script is answered, one after another; null where it is let see nothing. */
async function ask([target, asks]) {
  const answers = [];
  for (const [path, more] of asks) {
    const response = await fetch(target + path, { credentials: "include", ...more }).catch(() => null);
    answers.push(response && { status: response.status, text: await response.text() });
  }
  return answers;
}

/** Frames, once each has shown what it shows. */
function frame([tag, addresses]) {
  const shown = addresses.map((address) => {
    const element = document.createElement(tag);
    element[tag === "object" ? "data" : "src"] = address;
    return new Promise((resolve) => {
      element.onload = element.onerror = resolve;
      document.body.append(element);
    });
  });
  return Promise.all(shown);
}

/** What becomes of parts a page is made of: how wide one is, "used", or "refused". */
function include([target, parts]) {
  const became = ([tag, path]) =>
    new Promise((resolve) => {
      const element = document.createElement(tag);
      element.onload = element.onloadedmetadata = () => resolve(element.naturalWidth ?? element.videoWidth ?? "used");
      element.onerror = () => resolve(element.naturalWidth || element.videoWidth || "refused");
      if (tag === "link") element.rel = "stylesheet";
      element[tag === "link" ? "href" : "src"] = target + path;
      document.head.append(element);
    });
  return Promise.all(parts.map(became));
}

/** Listens to each of the services, with whatever proof the browser has. */
function listen(targets) {
  globalThis.heard = targets.map(() => []);
  globalThis.sources = targets.map((target, place) => {
    const source = new EventSource(`${target}/v1/events`, { withCredentials: true });
    for (const name of ["message", "asset", "campaign", "library", "reset"])
      source.addEventListener(name, ({ data }) => globalThis.heard[place].push(data));
    return source;
  });
}

/** Sends a form with one field, as nobody is asked whether to. */
function submit([target, path, enctype, name, value]) {
  const form = Object.assign(document.createElement("form"), { method: "post", action: target + path, enctype });
  const field = form.appendChild(Object.assign(document.createElement("input"), { name }));
  if (name === "file") {
    const files = new DataTransfer();
    files.items.add(new File([Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0))], "prize.png"));
    Object.assign(field, { type: "file", files: files.files });
  } else Object.assign(field, { type: "hidden", value });
  document.body.append(form);
  form.submit();
}
