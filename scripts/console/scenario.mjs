// What an operator does in the console, with keys alone. scripts/verify-console runs it.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Browser } from "./browser.mjs";
import { check } from "./faulty.mjs";
import { Servers, until } from "./servers.mjs";

const [work, pictures] = process.argv.slice(2);
const began = Date.now();
const servers = new Servers(), browser = new Browser();
const step = (text) => console.log(`== ${text} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
const tell = (text) => console.log(`   ${text}`);
const must = (what, ok) => { if (!ok) throw new Error(`not so: ${what}`); };
const path = (page, query) => `/console/${page}?${new URLSearchParams(query)}`;
const password = "twelve plain words", spy = "192.0.2.66", asked = "news.partner.example";

// Names of strangers; the last is as long as a name can be.
const hostile = ["<script>window.pwned=1</script>.example", "<img src=x onerror=window.pwned=1>.example",
  "\"><svg onload=window.pwned=1>.example", "'onmouseover='window.pwned=1.example", "javascript:window.pwned=1",
  "{{.Person}}${window.pwned=1}.example", "\u001b[31m\u001b]0;owned\u0007.example", "\u202emoc.knab\u202c.example",
  "=cmd|' /C calc'!A1.example", "\u0000\u0007\u007f.example", "xn--80ak6aa92e.com",
  [63, 63, 63, 61].map((n) => "m".repeat(n)).join(".")];

// generate gives names that malware of a family would make.
function generate(family, count) {
  const args = ["generate", "--family", family, "--count", String(count), "--seed", "7"];
  return execFileSync(`${work}/bin/degas`, args, { encoding: "utf8" }).trim().split("\n");
}

// seen fills the pages: hostile names, malware on a few clients, and a tunnel of which the watch tells.
async function seen() {
  const malware = generate("necurs", 40), tunnel = generate("dnscat2", 300);
  await servers.post([...hostile.map((name) => ({ name, client: spy })),
    ...malware.flatMap((name, i) => [0, 1, 2].slice(i % 3).map((n) => ({ name, client: `192.0.2.${10 + n}` }))),
    ...tunnel.map((name) => ({ name, client: "192.0.2.7" }))]);
  tell(`${hostile.length} names of strangers, ${malware.length} of malware, ${tunnel.length} of a tunnel`);
}

async function account() {
  const { page } = browser;
  await browser.audit("welcome", await browser.open(servers.link.slice(servers.url.length)));
  await browser.fill(page.getByLabel("Name", { exact: true }), "operator");
  await browser.fill(page.getByLabel("Password", { exact: true }), password);
  await browser.fill(page.getByLabel("The password again"), password);
  await browser.press(page.getByRole("button", { name: "Set the password" }));
  await logout();
  await browser.audit("login", await browser.open("/console/"));
  await browser.fill(page.getByLabel("Name", { exact: true }), "operator");
  await browser.fill(page.getByLabel("Password"), password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
}

async function logout() {
  await browser.press(browser.page.getByRole("button", { name: "Log out" }));
  await browser.page.getByRole("button", { name: "Log in" }).waitFor();
}

// follow presses a link of the bar.
const follow = (name) => browser.press(browser.page.getByRole("navigation").getByRole("link", { name }), name);

async function live() {
  const { page } = browser;
  await follow("Live");
  await page.getByText("Running.").waitFor();
  must("an answer before anybody decides", (await servers.dig(asked)).addresses[0] === "192.0.2.1");
  const sent = Date.now();
  await servers.post(hostile.map((name) => ({ name, client: spy }))); // names come onto this page by a script
  const row = page.locator(`[data-rows] tr[data-name="${asked}"]`);
  await row.waitFor({ timeout: 15_000 });
  const took = Date.now() - sent;
  tell(`the query was on the page ${took} ms after its answer: ${await row.locator(".verdict").innerText()}`);
  await page.locator("[data-rows] tr").filter({ hasText: "<script>" }).waitFor();
  await browser.harmless();
  await browser.press(row.getByRole("link", { name: asked }), "the name in its row");
  await page.getByRole("heading", { name: "Verdict now" }).waitFor();
}

// decide presses a button of the name's page, and waits until dig gets what it should.
async function decide(verdict, reached) {
  const form = browser.page.getByRole("region", { name: "Decide", exact: true });
  await browser.press(form.getByRole("button", { name: verdict, exact: true }), verdict);
  const pressed = Date.now();
  const answer = await until(`${verdict} to be answered`, 10, async () => {
    const got = await servers.dig(asked);
    return reached(got) && got;
  });
  const took = Date.now() - pressed;
  tell(`${verdict}: dig got ${answer.status} ${answer.addresses} ${took} ms after the key`);
  if (took > 3000) browser.fault(`${verdict} took ${took} ms to be in force`);
  await browser.page.getByText(verdict.toLowerCase(), { exact: true }).first().waitFor();
}

// vet decides about twenty names with one key each, and takes two decisions back.
async function vet() {
  const { page } = browser;
  await follow("Vet");
  const today = () => page.locator("[data-today]").getAttribute("data-today").then(Number);
  await page.locator("#queue [data-row]").nth(19).waitFor();
  const start = await today(), from = Date.now();
  const want = new Map();
  const name = () => page.evaluate(() => {
    const first = document.querySelector("#queue [data-row]:not([data-done])");
    return (document.activeElement.closest("#queue [data-row]") ?? first).querySelector(".name").textContent;
  });
  const decided = (n) => until(`${n} decided`, 10, async () => await today() === start + n);
  for (let i = 0; i < 20; i++) {
    const key = "abu"[i % 3];
    want.set(await name(), { a: "allow", b: "block", u: "unsure" }[key]);
    await page.keyboard.press(key);
    await decided(i + 1);
    if (i % 9 === 5) {
      const last = [...want.keys()].at(-1);
      await page.keyboard.press("z");
      await decided(i);
      must("the focus goes back to the row that was undone", await name() === last);
      await page.keyboard.press("b");
      want.set(last, "block");
      await decided(i + 1);
    }
  }
  tell(`20 names in ${Date.now() - from} ms, two of them undone and decided again`);
  must("twenty names", want.size === 20);
  const { decisions } = await servers.get("/v1/decisions?state=in%20force&limit=100");
  for (const [pattern, verdict] of want) {
    const made = decisions.find((d) => d.pattern === pattern);
    must(`${pattern} is ${verdict}`, made?.verdict === verdict && made.by === "operator");
  }
  const of = (verdict) => [...want].find(([, v]) => v === verdict)[0];
  await until("an answer for what is allowed", 5, async () => (await servers.dig(of("allow"))).addresses.length);
  must("none for what is blocked", (await servers.dig(of("block"))).status === "NXDOMAIN");
  return want.size + 2;
}

// download presses a link, and gives what comes.
async function download(link, what) {
  await browser.reach(link, what);
  const [got] = await Promise.all([browser.page.waitForEvent("download"), browser.page.keyboard.press("Enter")]);
  must(`${what} arrives`, await got.failure() === null);
  return readFileSync(await got.path(), "utf8");
}

async function exported(decided) {
  const { page } = browser;
  await browser.open(path("history", { client: spy }));
  const csv = await download(page.getByRole("link", { name: "CSV", exact: true }), "the history as CSV");
  must("names of strangers in the history", csv.includes("pwned"));
  const formulas = csv.match(/(^|[,\n]|",)"?[=+@\t][^\n]{0,30}/g);
  must(`no cell is a formula: ${JSON.stringify(formulas)}`, !formulas);
  await follow("Lists");
  const list = await download(page.getByRole("link", { name: "CSV of all decisions" }), "the decisions as CSV");
  const rows = list.trim().split("\n").length - 1;
  tell(`${csv.trim().split("\n").length - 1} events and ${rows} decisions`);
  must(`at least ${decided} decisions: ${rows}`, rows >= decided);
  must("the name that was allowed", list.includes(asked));
}

// look opens every page and looks at it.
async function look() {
  const finding = await until("a finding", 30, async () => (await servers.get("/v1/findings?kind=tunnel")).findings[0]);
  const pages = [["overview", "/console/"], ["live", "/console/live"],
    ["history", path("history", { group: 1, rows: 25 })], ["name", path("name", { name: asked })],
    ["name-hostile", path("name", { name: hostile[0] })],
    ["name-long", path("name", { name: hostile.at(-1) })], ["client", path("client", { client: spy })],
    ["findings", "/console/findings"], ["finding", path("finding", { id: finding.id })],
    ["vet", path("vet", { rows: 25 })], ["lists", "/console/lists"], ["models", "/console/models"],
    ["health", "/console/health"], ["account", "/console/account"]];
  for (const [name, at] of pages) await browser.audit(name, await browser.open(at));
  await browser.audit("error", await browser.open("/console/none", 404));
  await browser.open(path("client", { client: spy }));
  const links = await browser.page.locator("td a.name").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
  const names = [...hostile.map((name) => path("name", { name })), ...links];
  for (const at of names) {
    await browser.open(at);
    await browser.harmless();
  }
  tell(`${names.length} pages about names of strangers are harmless`);
}

// theme chooses dark by the button; the next page has it too.
async function theme() {
  const { page } = browser;
  const button = page.getByRole("button", { name: "Theme" });
  await browser.reach(button, "Theme");
  while (await button.innerText() !== "Theme: dark") await page.keyboard.press("Enter");
  await browser.open("/console/");
  must("the page is dark", await page.evaluate(() => document.documentElement.dataset.theme) === "dark");
  await browser.reach(button, "Theme");
  while (await button.innerText() !== "Theme: auto") await page.keyboard.press("Enter");
}

// leave logs out. The cookie is worth nothing then, whoever kept it.
async function leave() {
  const cookies = await browser.context.cookies();
  await logout();
  await browser.context.addCookies(cookies);
  await browser.open("/console/");
  must("nobody is logged in", await browser.page.getByRole("button", { name: "Log in" }).isVisible());
}

async function operate() {
  await browser.start("", pictures);
  step("a page with all faults");
  await check(browser);
  step("degas serve, degas-dns and a server upstream");
  await servers.start(`${work}/bin`, work);
  browser.origin = servers.url;
  await seen();
  step("the link that the server printed makes the first account, which logs in");
  await account();
  step("a query is live on the page, and its name has a page");
  await live();
  step("block, and allow");
  await decide("Block", (got) => got.status === "NXDOMAIN");
  await decide("Allow", (got) => got.addresses[0] === "192.0.2.1");
  step("twenty names with keys");
  const decided = await vet();
  step("exports");
  await exported(decided);
  step("every page");
  await look();
  step("the theme");
  await theme();
  step("log out");
  await leave();
}

try {
  await operate();
} catch (error) {
  browser.fault(error.stack);
  await browser.picture("failed").catch(() => {}); // what failed may have been the browser
} finally {
  await browser.close();
  await servers.stop();
}
for (const [what, pages] of browser.faults) console.error(`FAILED on ${[...pages].join("; ")}:\n  ${what}`);
step(`${browser.audits.length} pages, ${browser.faults.size} faults`);
process.exitCode = browser.faults.size || browser.audits.length < 17 ? 1 : 0;
