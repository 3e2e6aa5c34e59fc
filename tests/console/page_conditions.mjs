// The page under conditions that few have: large letters, few colours, paper, a browser that keeps nothing, a slow
// or ended console. Prints what it found as JSON. Run by test_page_conditions.py:
//   node page_conditions.mjs '{"modules": …, "chromium": …, "url": …, "walk": "sight", …}'
import { createRequire } from "node:module";
import { join } from "node:path";

const task = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(task.modules, "index.js"))("playwright-core");
const browser = await chromium.launch({ executablePath: task.chromium, args: ["--no-sandbox", "--disable-gpu"] });
const said = [];

async function open(options = {}) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })).newPage();
  page.setDefaultTimeout(20000);
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("dialog", (dialog) => dialog.accept());
  return page;
}

const text = (page, id) => page.locator(`#${id}`).textContent();
const told = (page, id, part) => page.waitForFunction(([name, words]) => document.getElementById(name).textContent.includes(words), [id, part]);
const active = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName);

async function shown(page, tab) {
  await page.goto(`${task.url}/#${tab}`);
  await page.waitForFunction((name) => document.documentElement.dataset.shown === name, tab.split("/")[0]);
  await page.evaluate(() => document.querySelectorAll("section:not([hidden]) details").forEach((each) => { each.open = true; }));
}

/** What stands out of the window, or is cut off where it cannot be scrolled. */
const outside = (page) => page.evaluate(() => {
  const width = document.documentElement.clientWidth;
  const found = document.documentElement.scrollWidth > width ? ["the page"] : [];
  for (const each of document.querySelectorAll("body *")) {
    if (!each.checkVisibility() || each.closest(".scroll, .skip, .unseen, option")) continue;
    const { left, right } = each.getBoundingClientRect();
    const isCut = getComputedStyle(each).overflowX === "hidden" && each.scrollWidth > each.clientWidth + 1;
    if (left < -1 || right > width + 1 || isCut) found.push(each.id || each.className || each.tagName);
  }
  return found;
});

/** Controls whose border has a contrast below 3 to 1 with what is inside of it, or around it. */
const faint = (page) => page.evaluate(() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...pen.getImageData(0, 0, 1, 1).data].map((code) => (code <= 10 ? code / 3294 : ((code / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
  };
  const ratio = (one, other) => Math.max(light(one), light(other)) / Math.min(light(one), light(other));
  const ground = (each) => {
    const colour = getComputedStyle(each).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" && each.parentElement ? ground(each.parentElement) : colour;
  };
  const found = [];
  for (const each of document.querySelectorAll("button, a.button, input, select, textarea")) {
    if (!each.checkVisibility() || ["range", "checkbox", "radio"].includes(each.type) || each.role === "tab") continue;
    const { borderTopColor } = getComputedStyle(each);
    const around = ground(each.parentElement);
    // What differs from its surroundings by its ground needs no border.
    const least = Math.max(Math.min(ratio(borderTopColor, around), ratio(borderTopColor, ground(each))), ratio(ground(each), around));
    if (least < 3) found.push(`${each.id || each.textContent}: ${least.toFixed(2)}`);
  }
  return found;
});

async function sight() {
  const found = { outside: {}, faint: {} };
  for (const [name, options] of Object.entries({
    "zoom 400 %": { viewport: { width: 320, height: 256 } }, "zoom 200 %": { viewport: { width: 640, height: 512 } },
    dark: { colorScheme: "dark" }, "more contrast": { contrast: "more" },
  })) {
    const page = await open(options);
    for (const tab of task.tabs) {
      await shown(page, tab);
      found.outside[`${name}, ${tab}`] = await outside(page);
      found.faint[`${name}, ${tab}`] = await faint(page);
      await page.evaluate(() => { // as WCAG 1.4.12 spaces text
        const sheet = new CSSStyleSheet();
        sheet.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }");
        document.adoptedStyleSheets = [sheet];
      });
      found.outside[`${name}, spaced, ${tab}`] = await outside(page);
      await page.evaluate(() => { document.adoptedStyleSheets = []; });
    }
    await page.context().close();
  }
  const few = await open({ forcedColors: "active", colorScheme: "dark" });
  await shown(few, "upscale");
  found.forced = await few.evaluate(() => ["[role=tab][aria-selected=%]", ".picture[aria-pressed=%]"].map((each) =>
    ["true", "false"].map((value) => getComputedStyle(document.querySelector(each.replace("%", value))).backgroundColor)));
  const still = await open({ reducedMotion: "reduce" });
  await shown(still, "upscale");
  found.moving = await still.evaluate(() => document.getAnimations().length);
  const paper = await open({ colorScheme: "dark" });
  await shown(paper, "jobs");
  await paper.locator("#job-list .job").first().click();
  await paper.locator("#job-dialog[open]").waitFor();
  await paper.emulateMedia({ media: "print" });
  found.paper = await paper.evaluate(() => ({
    ink: getComputedStyle(document.body).color, card: getComputedStyle(document.getElementById("job-dialog")).backgroundColor,
    seen: ["tabs", "job-list", "close-job", "delete-job", "job-title", "job-log"].filter((id) => document.getElementById(id).checkVisibility()),
    cut: document.getElementById("job-log").scrollHeight > document.getElementById("job-log").clientHeight,
  }));
  return found;
}

/** The way back of the browser, and where the focus is. */
async function back() {
  const page = await open();
  const now = async () => [await page.evaluate(() => location.hash.replace(/\/.*/, "/")), await page.evaluate(() => document.getElementById("job-dialog").open), await active(page)];
  const settled = (hash) => page.waitForFunction((wanted) => location.hash === wanted && !document.getElementById("job-dialog").open, hash);
  const found = {};
  await shown(page, "upscale");
  await page.locator("#tab-jobs").click();
  await page.locator("#job-list .job").last().press("Enter");
  await page.locator("#job-dialog[open]").waitFor();
  await page.keyboard.press("Escape");
  await settled("#jobs");
  await page.waitForFunction(() => document.activeElement.className === "job").catch(() => {});
  found.closed = await now();
  await page.goBack();
  await settled("#upscale");
  found.back = await now();
  const id = await page.evaluate(() => fetch("/api/cloud/jobs").then((answer) => answer.json()).then(({ jobs }) => jobs[0].id));
  await page.goto("about:blank");
  await page.goto(`${task.url}/#jobs/${id}`); // a link from elsewhere
  await page.locator("#job-dialog[open]").waitFor();
  await page.keyboard.press("Escape");
  await settled("#jobs");
  await page.goBack();
  found.left = page.url();
  return found;
}

/** A browser that keeps nothing: forbidden, and full. */
async function storage() {
  const found = {};
  for (const [name, spoil] of Object.entries({
    denied: () => Object.defineProperty(window, "localStorage", { get() { throw new DOMException("denied", "SecurityError"); } }),
    full: () => { Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); }; },
  })) {
    const page = await open();
    await page.addInitScript(spoil);
    await shown(page, "upscale");
    await told(page, "upscale-cost", "Free");
    await page.locator("input[name=upscale-place][value=replicate]").check();
    await told(page, "upscale-cost", "at most");
    await page.locator("#upscale-one").click();
    await told(page, "notice", "First read where your data goes");
    await told(page, "steps", "Where your data goes");
    await page.getByLabel("I know where my data goes").check();
    const notice = await text(page, "notice");
    await told(page, "steps", "read and known – done");
    await page.locator("#tab-upscale").click();
    await page.locator("#upscale-one").click();
    await told(page, "notice", "is in the queue");
    found[name] = notice;
    await page.context().close();
  }
  return found;
}

/** A session that ends behind an open dialog; and Replicate's refusal of a token, which ends none. */
async function session({ password }) {
  const page = await open();
  const found = {};
  const login = async () => {
    await page.locator("#password").fill(password);
    await page.keyboard.press("Enter");
    await page.locator("#tabs").waitFor();
  };
  await page.goto(`${task.url}/#jobs`);
  await page.locator("#password").fill("not the password");
  await page.keyboard.press("Enter");
  await told(page, "notice", "The password is not right");
  await login();
  found.focus = await active(page);
  await page.locator("#job-list .job").first().click();
  await page.locator("#job-dialog[open]").waitFor();
  await page.context().clearCookies();
  await page.locator("#deliver-job").click();
  await told(page, "notice", "The session is over: log in again.");
  await login(); // a dialog that is still open would let nothing be clicked
  await page.locator("#job-dialog[open]").waitFor();
  found.notice = await text(page, "notice");
  await page.keyboard.press("Escape");
  await page.locator("#tab-cloud").click();
  await told(page, "token-state", "not set");
  await page.locator("#proxy_url").fill("http://proxy.example:3128"); // not saved yet
  await page.locator("#token").fill("r8_0123456789012345678901234567890123456");
  const asked = page.waitForResponse("**/api/session"); // whether this one is over too
  await page.locator("#token-form .primary").click();
  await asked;
  await told(page, "notice", "Invalid token");
  found.kept = await page.locator("#proxy_url").inputValue();
  return found;
}

/** A slow console, one that is not there yet, and a picture that is chosen while others come. */
async function slow({ pictures }) {
  const page = await open();
  const found = {};
  let release = () => {};
  const held = new Promise((resolve) => { release = resolve; });
  await page.route("**/api/session", (route) => route.abort(), { times: 1 });
  await page.route("**/api/upscale/pictures", async (route) => {
    await held;
    await route.continue();
  }, { times: 1 });
  await page.goto(`${task.url}/#upscale`);
  await page.locator("#upscale-model").waitFor(); // it was asked again
  found.early = await page.locator("#upscale-empty").isVisible();
  release();
  await page.locator("#upscale-empty").waitFor();
  found.notice = await text(page, "notice");

  let lost = 0;
  for (const path of ["**/api/upscale/pictures?name=*", "**/api/health/live"]) { // the console ends, and comes back
    await page.route(path, (route) => {
      lost += 1;
      return route.abort();
    }, { times: 1 });
  }
  let next = () => {};
  const last = new Promise((resolve) => { next = resolve; });
  await page.route("**/api/upscale/pictures?name=*", async (route) => {
    if (lost < 2) {
      await route.fallback();
      return;
    }
    if (route.request().url().includes("last")) await last;
    await route.continue();
  });
  await page.locator("#upscale-files").setInputFiles(pictures);
  await page.locator(".picture", { hasText: "second" }).click();
  next();
  await told(page, "upscale-upload-state", "3 of 3 uploaded.");
  await told(page, "preview-state", "became");
  const chosen = () => page.locator(".picture[aria-pressed=true] .job-name").textContent();
  found.chosen = await chosen();
  await page.getByRole("button", { name: "Remove last.png" }).press("Enter");
  await told(page, "notice", "is removed");
  found.removed = [await page.evaluate(() => document.activeElement.getAttribute("aria-label")), await chosen()];

  const devtools = await page.context().newCDPSession(page);
  const drop = async () => { // beside the field
    for (const type of ["dragEnter", "dragOver", "drop"]) {
      const data = { items: [], files: [pictures[0]], dragOperationsMask: 1 };
      await devtools.send("Input.dispatchDragEvent", { type, x: 1000, y: 600, data });
    }
  };
  await drop();
  await told(page, "upscale-upload-state", "1 of 1 uploaded.");
  await page.locator("#tab-spending").click();
  await page.locator("#meter-words").waitFor();
  await drop();
  found.elsewhere = await text(page, "notice");
  await page.locator("#tab-upscale").click();

  await told(page, "upscale-more", "20 of 23");
  await page.locator("#upscale-more").click();
  await page.locator("#upscale-more").waitFor({ state: "hidden" });
  found.older = [await page.locator("#upscale-queue > li").count(), await text(page, "notice")];
  const plain = await open({ javaScriptEnabled: false });
  await plain.goto(task.url);
  found.plain = (await plain.locator("main").innerText()).trim();
  return found;
}

const result = await { sight, back, storage, session, slow }[task.walk](task);
await browser.close();
process.stdout.write(`${JSON.stringify({ result, said })}\n`);
