// A Messenger client nobody here wrote, against the sandbox: what it says must be understood, and what it is answered
// must be what its types promise. `node run.mjs BINARY`, after `npm ci`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import batchPackage from "facebook-batch";
import messengerPackage from "messaging-api-messenger";

const { FacebookBatchQueue } = batchPackage;
const { MessengerBatch, MessengerClient } = messengerPackage;

const APP_ID = "235000000000001";
const APP_SECRET = "sandbox-secret";
const PSID = "1254459154682919";
// One pixel, white.
const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTjDHAAAAABJRU5ErkJggg==",
  "base64",
);

/** Starts the sandbox; gives its event and the process. */
async function startSandbox(binary) {
  const child = spawn(binary, ["sandbox", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const event = JSON.parse(line);
    assert.equal(event.event, "sandbox");
    return { child, event };
  }
  throw new Error("the sandbox ended before it said where it listens");
}

/** A control call; gives its answer. */
async function control(lab, path, body) {
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${lab.url}/__sandbox/${path}`, request);
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

const state = (lab) => control(lab, "state");

/** The request the sandbox accepted last, without what the sandbox itself adds. */
async function lastRequest(lab) {
  const { messages } = await state(lab);
  const { sequence, at, page_id, message_id, attachment_id, metadata, chunked, ...request } = messages.at(-1);
  return request;
}

const isId = (id) => assert.match(id, /^[0-9]{16}$/);
const isMessageId = (id) => assert.match(id, /^m_.{20,}$/);

function isSent(answer) {
  assert.equal(answer.recipientId, PSID);
  isMessageId(answer.messageId);
}

/** Checks that `promise` fails as Graph refuses. */
async function isRefused(promise, code, subcode) {
  const error = await promise.then(
    (answer) => assert.fail(`accepted: ${JSON.stringify(answer)}`),
    (error) => error,
  );
  const refusal = error.response?.data?.error ?? assert.fail(`no refusal: ${error.stack}`);
  assert.deepEqual([refusal.code, refusal.errorSubcode], [code, subcode], error.message);
}

const quickReplies = [
  { contentType: "text", title: "Yes", payload: "YES" },
  { contentType: "user_email" },
];

const buttons = [
  { type: "web_url", title: "Shop", url: "https://shop.example/" },
  { type: "postback", title: "More", payload: "MORE" },
];

const checks = {
  async "says whose token it is"({ client, page }) {
    assert.deepEqual(await client.getPageInfo(), { id: page.id, name: page.name });
    const { category } = await client.getPageInfo({ fields: ["id", "category"] });
    assert.equal(typeof category, "string");
    await isRefused(client.getPageInfo({ fields: ["shoe_size"] }), 100, undefined);
  },

  // The client signs this call for the Page's token while it makes it with the app's, so it is made unsigned here.
  async "debugs a token"({ unsigned, page }) {
    const token = await unsigned.debugToken();
    assert.deepEqual(
      [token.appId, token.type, token.isValid, token.profileId, token.expiresAt],
      [APP_ID, "PAGE", true, page.id, 0],
    );
    assert.ok(token.scopes.includes("pages_messaging"));
    assert.equal(typeof token.dataAccessExpiresAt, "number");
    assert.equal(typeof token.application, "string");
    assert.equal(typeof token.userId, "string");
  },

  async "uploads by URL, from memory and from a file"({ lab, client, folder }) {
    const url = "https://shop.example/hero.png";
    const file = join(folder, "hero.png");
    writeFileSync(file, PIXEL);
    const answers = [
      await client.uploadImage(url, { isReusable: true }),
      await client.uploadImage(PIXEL, { isReusable: true, filename: "hero.png" }),
      await client.uploadImage(createReadStream(file), { isReusable: true }),
      await client.uploadFile(PIXEL, { filename: "hero.png" }),
    ];
    for (const answer of answers) {
      assert.deepEqual(Object.keys(answer), ["attachmentId"]);
      isId(answer.attachmentId);
    }
    const { attachments } = await state(lab);
    assert.deepEqual(
      attachments.map((one) => [one.id, one.type, one.reusable, one.url, one.file?.name, one.file?.size_bytes]),
      [
        [answers[0].attachmentId, "image", true, url, undefined, undefined],
        [answers[1].attachmentId, "image", true, null, "hero.png", PIXEL.length],
        [answers[2].attachmentId, "image", true, null, "hero.png", PIXEL.length],
        [answers[3].attachmentId, "file", false, null, "hero.png", PIXEL.length],
      ],
    );
    await isRefused(client.uploadImage("https://gone.invalid/a.png"), 100, 2018008);
    await isRefused(client.uploadFile("https://shop.example/setup.exe"), 546, undefined);
    await isRefused(client.uploadImage(PIXEL, { filename: "song.mp3" }), 100, 2018047);
  },

  async "sends texts, with quick replies, tags and personas"({ lab, client }) {
    isSent(await client.sendText(PSID, "hello, wörld!", { quickReplies }));
    assert.deepEqual(await lastRequest(lab), {
      messaging_type: "UPDATE",
      recipient: { id: PSID },
      message: {
        text: "hello, wörld!",
        quick_replies: [{ content_type: "text", title: "Yes", payload: "YES" }, { content_type: "user_email" }],
      },
    });
    isSent(await client.sendText(PSID, "it's me", { tag: "HUMAN_AGENT", personaId: "42" }));
    assert.deepEqual(await lastRequest(lab), {
      messaging_type: "MESSAGE_TAG",
      recipient: { id: PSID },
      message: { text: "it's me" },
      tag: "HUMAN_AGENT",
      persona_id: "42",
    });
    isSent(await client.sendText(PSID, "yes", { messagingType: "RESPONSE" }));
    await isRefused(client.sendText(PSID, "your order", { tag: "POST_PURCHASE_UPDATE" }), 100, undefined);
    await isRefused(client.sendText(PSID, "é".repeat(2000)), 100, undefined);
    await isRefused(client.sendText("somebody", "hello"), 100, undefined);
    const anonymous = await client.sendText({ userRef: "checkbox-1" }, "hello");
    assert.deepEqual(Object.keys(anonymous), ["messageId"]);
  },

  async "sends pictures by id, by URL and from a file"({ lab, client }) {
    const { attachmentId } = await client.uploadImage(PIXEL, { isReusable: true, filename: "a.png" });
    isSent(await client.sendImage(PSID, { attachmentId }));
    assert.deepEqual((await lastRequest(lab)).message, {
      attachment: { type: "image", payload: { attachment_id: attachmentId } },
    });
    const saved = await client.sendImage(PSID, { url: "https://shop.example/b.png", isReusable: true });
    isSent(saved);
    isId(saved.attachmentId);
    isSent(await client.sendImage(PSID, { attachmentId: saved.attachmentId }));
    isSent(await client.sendImage(PSID, PIXEL, { filename: "c.png" }));
    isSent(await client.sendVideo(PSID, "https://shop.example/d.mp4"));
    isSent(await client.sendAudio(PSID, "https://shop.example/e.mp3"));
    isSent(await client.sendFile(PSID, "https://shop.example/f.pdf"));
    await isRefused(client.sendVideo(PSID, "https://gone.invalid/d.mp4"), 389, undefined);
    await isRefused(client.sendImage(PSID, { attachmentId: "1234567890123456" }), 100, 2018074);
    await control(lab, "clock", { advance: "90d" });
    await isRefused(client.sendImage(PSID, { attachmentId }), 100, 2018074);
  },

  async "sends templates"({ lab, client }) {
    const { attachmentId } = await client.uploadImage(PIXEL, { isReusable: true, filename: "a.png" });
    isSent(await client.sendMediaTemplate(PSID, [{ mediaType: "image", attachmentId, buttons }]));
    assert.deepEqual((await lastRequest(lab)).message.attachment.payload, {
      template_type: "media",
      elements: [{ media_type: "image", attachment_id: attachmentId, buttons }],
    });
    const video = { mediaType: "video", url: "https://www.facebook.com/shop/videos/1/" };
    isSent(await client.sendMediaTemplate(PSID, [video]));
    await isRefused(client.sendMediaTemplate(PSID, [{ mediaType: "image" }]), 2018187, undefined);
    await isRefused(client.sendMediaTemplate(PSID, [{ ...video, url: "https://shop.example/v" }]), 2018188, undefined);
    isSent(await client.sendButtonTemplate(PSID, "What next?", buttons));
    isSent(await client.sendGenericTemplate(PSID, [{ title: "Tulips", buttons }]));
  },

  async "shows that it reads and writes"({ lab, client }) {
    for (const answer of [await client.markSeen(PSID), await client.typingOn(PSID), await client.typingOff(PSID)]) {
      assert.deepEqual(answer, { recipientId: PSID });
    }
    const { messages } = await state(lab);
    assert.deepEqual(messages.map((one) => one.sender_action), ["mark_seen", "typing_on", "typing_off"]);
  },

  // Quick replies given as an option would stand beside the message as well as in it, which is one parameter too many;
  // given in the message they stand there alone.
  async "sends batches"({ lab, client }) {
    const answers = await client.sendBatch([
      MessengerBatch.sendText(PSID, "one & two = three"),
      MessengerBatch.sendText("somebody", "hello"),
      MessengerBatch.sendMessage(PSID, {
        attachment: { type: "image", payload: { url: "https://shop.example/a.png" } },
        quickReplies,
      }),
      MessengerBatch.typingOn(PSID),
      { method: "GET", relativeUrl: "me?fields=id" },
    ]);
    assert.deepEqual(answers.map((one) => one.code), [200, 400, 200, 200, 200]);
    isSent(answers[0].body);
    assert.equal(answers[1].body.error.code, 100);
    assert.deepEqual(answers[3].body, { recipientId: PSID });
    assert.equal(answers[0].headers[0].name, "Content-Type");
    const { messages, counters } = await state(lab);
    assert.equal(messages[0].message.text, "one & two = three");
    assert.equal(messages[1].message.quick_replies[1].content_type, "user_email");
    assert.deepEqual([counters.requests.batch, counters.requests.send, counters.requests.me], [1, 4, 1]);
    const bare = await client.sendBatch([MessengerBatch.markSeen(PSID)], { includeHeaders: false });
    assert.deepEqual(Object.keys(bare[0]).sort(), ["body", "code"]);
  },

  // It cannot read the `null` Graph has for a success others depend on, so it has to ask for the answer.
  async "makes one request of a batch wait for another"({ lab, client }) {
    const answers = await client.sendBatch([
      MessengerBatch.sendText(PSID, "second", { dependsOn: "first" }),
      MessengerBatch.sendText(PSID, "first", { name: "first", omitResponseOnSuccess: false }),
    ]);
    assert.deepEqual(answers.map((one) => one.code), [200, 200]);
    const { messages } = await state(lab);
    assert.deepEqual(messages.map((one) => one.message.text), ["first", "second"]);
  },

  async "queues messages and repeats what was throttled"({ lab, config }) {
    await control(lab, "faults", { on: "send", recipient: "8", fault: { graph: { code: 613, message: "slow down" } } });
    const queue = new FacebookBatchQueue(config, { delay: 10, retryTimes: 1 });
    const people = Array.from({ length: 60 }, (_, place) => String(place + 1));
    const answers = await Promise.all(people.map((id) => queue.push(MessengerBatch.sendText(id, "hello"))));
    queue.stop();
    assert.deepEqual(answers.map((one) => one.recipientId), people);
    const { message_count, counters } = await state(lab);
    assert.deepEqual([message_count, counters.requests.send, counters.faults_fired], [60, 61, 1]);
    assert.ok(counters.requests.batch >= 2);
  },

  async "proves that it knows the secret"({ lab, client, unsigned }) {
    await control(lab, "proof", { required: true });
    isSent(await client.sendText(PSID, "signed"));
    assert.equal((await client.sendBatch([MessengerBatch.sendText(PSID, "signed")]))[0].code, 200);
    await isRefused(unsigned.sendText(PSID, "unsigned"), 100, undefined);
  },

  async "hears of people who cannot be reached"({ lab, client }) {
    await control(lab, "people", [
      { id: PSID, last_interaction_at: "2020-01-01T00:00:00Z" },
      { id: "8", error: "551/1545041" },
    ]);
    await isRefused(client.sendText(PSID, "hello"), 10, 2018278);
    await isRefused(client.sendText("8", "hello"), 551, 1545041);
  },
};

const [binary] = process.argv.slice(2);
assert.ok(binary, "usage: node run.mjs BINARY");
const { child, event } = await startSandbox(binary);
const folder = mkdtempSync(join(tmpdir(), "reattach-peers-"));
const page = event.pages[0];
const config = {
  accessToken: page.access_token,
  appId: APP_ID,
  appSecret: APP_SECRET,
  origin: event.url,
  version: "25.0",
};
const world = {
  lab: event,
  page,
  folder,
  config,
  client: new MessengerClient(config),
  unsigned: new MessengerClient({ ...config, skipAppSecretProof: true }),
};
let failures = 0;
try {
  for (const [name, check] of Object.entries(checks)) {
    await control(event, "reset", {});
    try {
      await check(world);
      console.log(`ok      ${name}`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
  }
} finally {
  await control(event, "stop", {}).catch(() => child.kill());
  rmSync(folder, { recursive: true });
}
console.log(failures === 0 ? "every check passed" : `${failures} checks failed`);
process.exitCode = failures === 0 ? 0 : 1;
