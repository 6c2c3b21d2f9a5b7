// Somebody else's site, and the service as it would be without its walls.

import { createServer, request } from "node:http";

/** What somebody else's site may be called: another port of the same site, whose cookies are one, and foreign names. */
export const NAMES = ["127.0.0.1", "localhost", "evil.example"];

/** An empty page under every address. `heard` is what browsers say to it. */
export async function foreign() {
  const heard = [];
  const server = await listening(({ url, headers }, answer) => {
    heard.push({ url, headers });
    answer.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Elsewhere</title>");
  });
  return { ...server, heard };
}

/** The service's careless twin: lets everybody in, under any name, and every page do with the answers what it likes. */
export function careless(lab) {
  return listening((asked, answer) => {
    const open = {
      "access-control-allow-origin": asked.headers.origin ?? "*",
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "PUT, DELETE",
      "access-control-allow-headers": "content-type, x-reattach-csrf",
    };
    if (asked.method === "OPTIONS") return answer.writeHead(204, open).end();
    const kept = Object.entries(asked.headers).filter(([name]) => /^(accept|content-|transfer-)/.test(name));
    const headers = { ...Object.fromEntries(kept), authorization: `Bearer ${lab.token}` };
    const passed = request(lab.url + asked.url, { method: asked.method, headers }, (given) => {
      const type = given.headers["content-type"];
      // What a file is it lets the browser guess.
      if (type && !asked.url.endsWith("/content")) open["content-type"] = type;
      answer.writeHead(given.statusCode, open).flushHeaders();
      given.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    answer.on("close", () => passed.destroy());
    asked.pipe(passed);
  });
}

async function listening(answer) {
  const server = createServer(answer);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address();
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { port, url: `http://127.0.0.1:${port}`, close };
}
