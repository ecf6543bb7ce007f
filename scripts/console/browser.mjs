// A browser that notes everything a page must not do, and looks at pages as several people see them.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
// Debian's Chromium waits for servers of its maker otherwise.
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const mostBytes = 150_000;
const narrow = 360, wide = 1280, height = 900;

// Browser has one page, of which all faults are kept. Texts of strangers are in faults as JSON has them.
export class Browser {
  faults = new Map(); // what is wrong, and on which pages
  audits = [];

  // start opens a browser for the pages of one server. With a folder, pages are pictured there.
  async start(origin, pictures) {
    this.origin = origin;
    this.pictures = pictures;
    if (pictures) mkdirSync(pictures, { recursive: true });
    this.browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
    this.context = await this.browser.newContext({ viewport: { width: wide, height }, acceptDownloads: true });
    this.context.setDefaultTimeout(10_000);
    await this.context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (e) => {
        console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`);
      });
    });
    this.page = await this.context.newPage();
    this.#watch(this.page);
    this.cdp = await this.context.newCDPSession(this.page);
    await this.cdp.send("Network.enable");
    this.cdp.on("Network.loadingFinished", (e) => { this.bytes += e.encodedDataLength; });
  }

  fault(what) {
    this.faults.set(what, (this.faults.get(what) ?? new Set()).add(this.at ?? "before all pages"));
  }

  // #watch keeps what no page may do, whatever page is shown.
  #watch(page) {
    page.on("console", (m) => {
      const bad = ["error", "warning"].includes(m.type()) && !m.text().includes(`status of ${this.wanted}`);
      if (bad) this.fault(`console: ${JSON.stringify(m.text())}`);
    });
    page.on("pageerror", (e) => this.fault(`script: ${JSON.stringify(e.message)}`));
    page.on("dialog", (d) => { this.fault(`dialog: ${JSON.stringify(d.message())}`); d.dismiss().catch(() => {}); });
    page.on("popup", () => this.fault("another window opened"));
    page.on("request", (r) => {
      const own = r.url().startsWith(this.origin + "/") || r.url().startsWith("data:");
      if (!own) this.fault(`asks for ${JSON.stringify(r.url())}`);
    });
    page.on("response", (r) => {
      if (r.status() < 400 || r.status() === this.wanted) return;
      this.fault(`status ${r.status()} for ${JSON.stringify(r.url())}`);
    });
  }

  // open goes to a path with an empty cache, and holds what was transferred to the bound. The page may have a status.
  async open(path, status = 200) {
    this.at = path.split("?")[0];
    this.wanted = status;
    await this.cdp.send("Network.setCacheDisabled", { cacheDisabled: true });
    this.bytes = 0;
    const answer = await this.page.goto(this.origin + path, { waitUntil: "load" });
    await this.settled();
    if (answer.status() !== status) this.fault(`status ${answer.status()}, not ${status}`);
    this.wanted = 200;
    await this.cdp.send("Network.setCacheDisabled", { cacheDisabled: false });
    if (this.bytes > mostBytes) this.fault(`${this.bytes} bytes were transferred; at most ${mostBytes} may be`);
    return this.bytes;
  }

  // settled waits until the page has been drawn.
  async settled() {
    await this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))));
  }

  // audit looks at the page as it is: dark and light, wide and narrow.
  async audit(name, bytes = 0) {
    const began = Date.now();
    this.at = name;
    let seen = 0;
    for (const [width, scheme] of [[wide, "light"], [wide, "dark"], [narrow, "dark"], [narrow, "light"]]) {
      await this.page.setViewportSize({ width, height });
      await this.page.emulateMedia({ colorScheme: scheme });
      await this.settled();
      this.at = `${name}, ${width} px, ${scheme}`;
      seen += await this.#axe();
      if (width === narrow) await this.#scrolls();
      const shot = width === wide ? scheme : scheme === "light" ? "narrow" : "";
      if (shot) await this.picture(`${name}-${shot}`);
    }
    await this.page.setViewportSize({ width: wide, height });
    await this.page.emulateMedia({ colorScheme: "light" });
    this.at = name;
    await this.harmless();
    this.audits.push(name);
    const size = bytes ? `, ${(bytes / 1000).toFixed(0)} kB` : "";
    console.log(`   ${name}: ${seen} rules of axe-core passed${size} (${Date.now() - began} ms)`);
  }

  // harmless holds that no name has become more than text, and that what would not be seen of it is.
  async harmless() {
    if (await this.page.evaluate(() => window.pwned !== undefined)) this.fault("a script in a name ran");
    const text = await this.page.evaluate(() => document.body.innerText);
    const unseen = text.match(/[^\n]{0,20}[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/);
    if (unseen) this.fault(`the page has what cannot be seen: ${JSON.stringify(unseen[0])}`);
  }

  async picture(name) {
    if (this.pictures) await this.page.screenshot({ path: `${this.pictures}/${name}.png`, fullPage: true });
  }

  // #axe runs axe-core in the page, and gives the number of rules that passed.
  async #axe() {
    if (!await this.page.evaluate(() => "axe" in window)) await this.page.evaluate(axe);
    const { violations, passes } = await this.page.evaluate(async (values) => {
      const found = await axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] });
      return { passes: found.passes.length, violations: found.violations.map((v) => ({ id: v.id, help: v.help,
        nodes: v.nodes.slice(0, 3).map((n) => `${n.target.join(" ")}: ${n.failureSummary}`) })) };
    }, rules);
    for (const v of violations) {
      this.fault([`axe-core: ${v.id}: ${v.help}`, ...v.nodes.map((n) => JSON.stringify(n))].join("\n    "));
    }
    return passes;
  }

  // #scrolls finds what makes the page wider than the window.
  async #scrolls() {
    const found = await this.page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      if (scrollWidth <= clientWidth) return null;
      const inScroller = (e) => e && (getComputedStyle(e).overflowX !== "visible" || inScroller(e.parentElement));
      const wider = (e) => e.getBoundingClientRect().right > clientWidth + 1 && !inScroller(e.parentElement);
      const widest = [...document.body.querySelectorAll("*")].filter(wider).slice(0, 3);
      return { scrollWidth, clientWidth, widest: widest.map((e) => e.outerHTML.slice(0, 120)) };
    });
    if (found) this.fault(`scrolls sideways: ${JSON.stringify(found)}`);
  }

  // reach moves the focus with Tab until it is on an element, as who has no mouse does.
  async reach(locator, what = String(locator)) {
    const element = await locator.elementHandle();
    for (let tabs = 0; tabs < 400; tabs++) {
      if (await element.evaluate((e) => e === document.activeElement)) {
        const seen = await element.evaluate((e) => {
          const style = getComputedStyle(e);
          return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
        });
        if (tabs && !seen) this.fault(`the focus cannot be seen on ${what}`);
        return tabs;
      }
      await this.page.keyboard.press("Tab");
    }
    throw new Error(`no Tab leads to ${what}`);
  }

  // press reaches a button or a link, and presses Enter.
  async press(locator, what) {
    await this.reach(locator, what);
    await this.page.keyboard.press("Enter");
  }

  // fill reaches a field, and types.
  async fill(locator, text) {
    await this.reach(locator);
    await this.page.keyboard.type(text);
  }

  async close() {
    await this.browser?.close();
  }
}
