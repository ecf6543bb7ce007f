// A server of pages with every fault that the browser looks for. If it misses one there, it would miss it anywhere.
import { once } from "node:events";
import { createServer } from "node:http";

const strict = "default-src 'none'; script-src 'self'; style-src 'self'";
const pages = {
  "/refused": [strict, `<!doctype html><title>x</title><p style="width: 1em">pale<script>window.pwned = 1</script>`],
  "/wrong": ["", `<!doctype html><title>x</title><style>p { width: 90em; color: #ccc } a { outline: none }</style>
    <p>wide<img src="/none"><bdi>\u202e</bdi><a href="/">unseen</a><script>window.pwned = 1; alert("ran");
    fetch("http://192.0.2.1/").catch(() => {}); console.warn("warned"); throw new Error("thrown")</script>
    <!--${"x".repeat(160_000)}-->`],
};
const faults = ["CSP: ", "color-contrast", "html-has-lang", "image-alt", "scrolls sideways", "script in a name ran",
  "dialog: ", "asks for", "script: \"thrown\"", "console: \"warned\"", "status 404", "bytes were transferred",
  "focus cannot be seen", "what cannot be seen"];

// check has a browser open the pages, and fails if it does not find all faults.
export async function check(browser) {
  const server = createServer((request, response) => {
    const [policy, text] = pages[request.url] ?? [];
    if (policy) response.setHeader("content-security-policy", policy);
    response.writeHead(text ? 200 : 404, { "content-type": "text/html; charset=utf-8" }).end(text);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = browser.origin, pictures = browser.pictures;
  browser.origin = `http://127.0.0.1:${server.address().port}`;
  browser.pictures = "";
  for (const path of Object.keys(pages)) {
    await browser.open(path);
    await browser.audit(path.slice(1));
  }
  await browser.reach(browser.page.locator("a"), "a link");
  const found = [...browser.faults.keys()];
  const missed = faults.filter((f) => !found.some((what) => what.includes(f)));
  if (missed.length) throw new Error(`the browser did not find: ${missed.join(", ")}`);
  console.log(`   all ${faults.length} kinds of faults were found`);
  await browser.page.goto("about:blank");
  Object.assign(browser, { origin, pictures, at: undefined, faults: new Map(), audits: [] });
  server.close();
  server.closeAllConnections();
}
