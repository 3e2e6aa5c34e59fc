// Walks through the console's page in Chromium; prints what it found as JSON. Run by test_page_chromium.py.
//   node page_check.mjs '{"modules": …, "chromium": …, "url": …, "tabs": [...], "shots": …, "journey": {…}, "newcomer": {…}}'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const task = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(task.modules, "index.js"))("playwright-core");
const axe = readFileSync(join(task.modules, "axe-core", "axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: task.chromium, args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP console.example 127.0.0.1"] });
const said = [];

async function open(width, colorScheme) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  return page;
}

async function look(width, colorScheme) {
  const found = [];
  const page = await open(width, colorScheme);
  for (const tab of task.tabs) {
    const name = tab.split("/")[0];
    await page.goto(`${task.url}/#${tab}`);
    await page.waitForFunction((shown) => document.documentElement.dataset.shown === shown, name);
    await page.evaluate(() => document.querySelectorAll("section:not([hidden]) details").forEach((each) => { each.open = true; }));
    await page.evaluate(axe);
    const result = await page.evaluate(() => window.axe.run());
    const file = join(task.shots, `${tab.includes("/") ? "job" : tab}-${width}-${colorScheme}.png`);
    await page.screenshot({ path: file, fullPage: true });
    found.push({
      tab, width, colorScheme,
      violations: result.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.target.join(" ")).join(", ")}`),
      overflow: await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
    });
  }
  await page.close();
  return found;
}

async function journey({ token, folder }) {
  const page = await open(1280, "light");
  const notice = async (text) => page.waitForFunction((part) => document.getElementById("notice").textContent.includes(part), text);
  await page.goto(task.url);
  await page.getByText("REPLICATE_API_TOKEN not set").waitFor();
  await page.getByLabel("API token").fill("not a token");
  await page.locator("#token-form").getByRole("button", { name: "Save" }).click();
  await notice("Invalid token");
  await page.getByLabel("API token").fill(token);
  await page.locator("#token-form").getByRole("button", { name: "Save" }).click();
  await page.getByText("Valid: ada (Ada), from the file").waitFor();
  await page.getByLabel("Hold submits to a limit").check();
  await page.getByRole("spinbutton", { name: "US dollars" }).fill("0.05");
  await page.locator("#limit-form").getByRole("button", { name: "Save" }).click();
  await page.getByText("$0.0000 of $0.0500 used").waitFor();
  await page.getByRole("tab", { name: "Train" }).press("Enter");
  await page.getByLabel("Path of the folder").fill(folder);
  await page.getByLabel("Model that gets the trained version").fill("ada/mine");
  await page.locator("#train-form").getByRole("button", { name: "Estimate" }).click();
  await page.getByText("no estimate; at most").waitFor();
  await page.locator("#train-form").getByRole("button", { name: "Submit" }).click();
  await notice("First read where your data goes");
  await page.getByLabel("I know where my data goes").check();
  await page.getByRole("tab", { name: "Train" }).click();
  await page.locator("#train-form").getByRole("button", { name: "Submit" }).click();
  await notice("The job was not submitted");
  await page.locator("#train-hardware").selectOption("gpu-t4");
  await page.locator("#train-minutes").fill("3");
  await page.locator("#train-form").getByRole("button", { name: "Submit" }).click();
  await page.getByRole("heading", { name: "pictures" }).waitFor();
  process.stdout.write("submitted\n");
  await page.getByText("loss 0.0312").waitFor();
  await page.getByText("running, fit, about 30 s left").waitFor();
  process.stdout.write("watched\n");
  const waiting = page.waitForEvent("download");
  await page.getByRole("link", { name: "weights.tar" }).click();
  const download = await waiting;
  const bytes = readFileSync(await download.path()).toString();
  await page.keyboard.press("Escape");
  await page.getByRole("tab", { name: "Spending" }).click();
  await page.getByText("in 30 days").waitFor();
  return { bytes, spent: await page.locator("#meter-words").textContent() };
}

/** From nothing to a picture that was upscaled with one's own model, everything by the page. */
async function newcomer({ token, folder, destination, picture, url, shots }) {
  const page = await open(1280, "light");
  page.setDefaultTimeout(240000);
  const notice = async (text) => page.waitForFunction((part) => document.getElementById("notice").textContent.includes(part), text);
  const tab = (name) => page.getByRole("tab", { name }).click();
  const saved = async (form, name) => {
    await page.locator(form).getByRole("button", { name, exact: true }).click();
  };
  const download = async (name) => {
    const waiting = page.waitForEvent("download");
    await page.getByRole("link", { name, exact: true }).click();
    return readFileSync(await (await waiting).path());
  };
  await page.goto(url);
  await page.getByText("REPLICATE_API_TOKEN not set").waitFor();
  await page.getByLabel("API token").fill(token);
  await saved("#token-form", "Save");
  await page.getByText("Valid: ").waitFor();
  await saved("#token-form", "Validate");
  await page.getByText("Valid: ").waitFor();
  await page.getByLabel("Hold submits to a limit").check();
  await page.getByRole("spinbutton", { name: "US dollars" }).fill("0.08");
  await saved("#limit-form", "Save");
  await page.getByText("$0.0000 of $0.0800 used").waitFor();
  await page.getByLabel("Public address of this console").fill(url);
  await saved("#webhook-form", "Save");
  await notice("Saved.");
  await saved("#webhook-form", "Test the address");
  await notice("Reachable: a signed webhook arrived.");
  await page.getByLabel("I know where my data goes").check();
  await tab("Train");
  await page.locator("#train-source").fill(folder);
  await page.locator("#train-destination").fill(destination);
  for (const [field, value] of [["base", "fast"], ["method", "full"], ["degradation", "clean"], ["hardware", "cpu"]]) {
    await page.locator(`#train-${field}`).selectOption(value);
  }
  await page.getByText("More", { exact: true }).click();
  for (const [field, value] of [["steps", 12], ["every", 6], ["batch", 2], ["crop", 16], ["learning_rate", 0.0005], ["minutes", 10]]) {
    await page.locator(`#train-${field}`).fill(String(value));
  }
  await saved("#train-form", "Submit");
  await page.waitForFunction(() => document.getElementById("job-log").textContent.includes("/12 ["));
  await page.screenshot({ path: join(shots, "watched.png") });
  await page.waitForFunction(() => document.getElementById("job-state").textContent.startsWith("completed"));
  const weights = await download("weights.tar");
  const model = await download("model.safetensors");
  await page.waitForFunction(() => document.getElementById("job-command").textContent.startsWith("luxscaler upscale"));
  await page.screenshot({ path: join(shots, "trained.png") });
  await page.keyboard.press("Escape");
  await tab("Cloud");
  await saved("#webhook-form", "What arrived");
  await page.getByText("applied (200)").first().waitFor();
  await page.goBack();
  await page.locator("#job-list .job").first().click();
  await page.getByRole("button", { name: "Use as model" }).click();
  await page.waitForFunction(() => document.getElementById("master-model")?.value.startsWith("job:"));
  await page.getByLabel("This machine", { exact: true }).check();
  await page.locator("#master-source").fill(picture);
  await page.locator("#master-output_format").selectOption("png");
  await page.screenshot({ path: join(shots, "model.png"), fullPage: true });
  await saved("#master-form", "Submit");
  await page.waitForFunction(() => document.getElementById("job-state").textContent.startsWith("completed"));
  const upscaled = await download("output.png");
  await page.screenshot({ path: join(shots, "upscaled.png") });
  const bytes = (data) => data.toString("base64");
  return { weights: bytes(weights), model: bytes(model), upscaled: bytes(upscaled) };
}

/** From dropped pictures to a result that is compared and downloaded. */
async function upscaler({ pictures, shots }) {
  const page = await open(1440, "light");
  page.setDefaultTimeout(60000);
  const text = (id, part) => page.waitForFunction(([name, words]) => document.getElementById(name).textContent.includes(words), [id, part]);
  await page.goto(`${task.url}/#upscale`);
  await page.locator("#upscale-model").selectOption("fast");
  await page.locator("#upscale-output_format").selectOption("exr");
  await page.getByLabel("Codec of EXR").and(page.locator("#upscale-exr_compression")).selectOption("piz");
  await page.locator("#upscale-output_format").selectOption("png");
  await page.locator("#upscale-exr_compression").waitFor({ state: "hidden" });
  await page.getByLabel("Drop pictures here, or choose them").setInputFiles(pictures);
  await text("upscale-upload-state", `${pictures.length - 1} of ${pictures.length} uploaded.`);
  const refused = await page.locator("#upscale-refused").textContent();
  await page.locator("#upscale-scale").fill("2");
  await text("upscale-result", "192 × 128");
  await text("preview-state", "96 × 64 pixels became 192 × 128");
  await page.getByLabel("Border between before and after").fill("30");
  const sample = () => page.evaluate(() => {
    const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    copy.drawImage(document.getElementById("preview-part"), -150, -60);
    return [...copy.getImageData(0, 0, 1, 1).data];
  });
  const normal = await sample();
  await page.getByLabel("Exposure, stops").fill("2");
  const brighter = await sample();
  await page.getByLabel("Exposure, stops").fill("0");
  await text("upscale-cost", "by the preview's pace");
  await page.getByRole("button", { name: "Upscale", exact: true }).press("Enter");
  const link = page.locator("#upscale-queue").getByRole("link", { name: /^Download/ });
  await link.waitFor();
  const waiting = page.waitForEvent("download");
  await link.click();
  const download = await waiting;
  const opened = page.context().waitForEvent("page");
  await page.locator("#upscale-queue").getByRole("link", { name: /^Compare/ }).press("Enter");
  const compare = await opened;
  await compare.waitForFunction(() => !document.getElementById("status").textContent.includes("Unpacking"));
  const reached = await compare.evaluate((url) => fetch(`${url}/api/cloud/jobs`).then(() => "reached", () => "refused"), task.url);
  const title = await compare.title();
  await page.screenshot({ path: join(shots, "upscaled.png"), fullPage: true });
  await page.setViewportSize({ width: 360, height: 900 });
  await page.screenshot({ path: join(shots, "upscaled-360.png"), fullPage: true });
  await page.getByRole("tab", { name: "Jobs" }).click();
  await page.locator("#job-list .job").click();
  const links = page.locator("#job-files").getByRole("link");
  await links.first().waitFor();
  const named = page.waitForEvent("download");
  await links.first().click();
  const job = [await links.allTextContents(), (await named).suggestedFilename()];
  const bytes = readFileSync(await download.path()).toString("base64");
  return { job, refused, normal, brighter, name: download.suggestedFilename(), bytes, reached, title };
}

/** Every field of a master's inputs: what is wrong is said beside it, and what is set is sent, to both places. */
async function fields({ picture, inputs, upload, shots }) {
  const page = await open(360, "light");
  const field = (name) => page.locator(`#master-${name}`);
  const told = async (name) => ({
    text: await page.locator(`#master-${name}-error`).textContent(),
    invalid: await field(name).getAttribute("aria-invalid"),
    described: (await field(name).getAttribute("aria-describedby")).split(" ").includes(`master-${name}-error`),
  });
  await page.goto(`${task.url}/#cloud`);
  await page.getByLabel("I know where my data goes").check();
  await page.goto(`${task.url}/#masters`);
  await page.locator("#masters summary").press("Enter");
  const wrong = {};
  for (const [name, values] of Object.entries({
    scale: ["9", "", "4"], width: ["0", "1.5", ""], megapixels: ["0", ""], profile: ["acescg", "srgb"],
  })) {
    for (const value of values) {
      if (name === "profile") await page.locator("#master-output_format").selectOption(value === "acescg" ? "exr" : "png");
      if (name === "profile") await field(name).selectOption(value);
      else await field(name).fill(value);
      if (value === "acescg") await page.locator("#master-output_format").selectOption("png");
      wrong[`${name}=${value}`] = await told(name);
    }
  }
  await field("width").fill("90");
  await field("height").fill("60");
  wrong["width and height"] = [await told("width"), await told("height")];
  await page.locator("#masters summary").press("Enter");
  await field("source").fill(picture);
  await page.locator("#master-form").getByRole("button", { name: "Submit" }).click();
  const refused = {
    notice: await page.locator("#notice").textContent(), focus: await page.evaluate(() => document.activeElement.id), hash: await page.evaluate(() => location.hash),
  };
  await page.screenshot({ path: join(shots, "refused-360.png"), fullPage: true });
  await field("height").fill("");
  await field("output_format").selectOption("exr");
  const jobs = [];
  for (const where of ["This machine", "Replicate"]) {
    await page.getByLabel(where, { exact: true }).check();
    for (const [name, value] of Object.entries(inputs)) {
      if (typeof value === "boolean") await field(name).setChecked(value);
      else if (await field(name).evaluate((each) => each.tagName) === "SELECT") await field(name).selectOption(value);
      else await field(name).fill(String(value));
    }
    await page.locator("#master-form").getByRole("button", { name: "Submit" }).press("Enter");
    await page.waitForFunction(() => location.hash.startsWith("#jobs/"));
    jobs.push(await page.evaluate(() => location.hash.slice(6)));
    await page.locator("#close-job").click();
    await page.goto(`${task.url}/#masters`);
    await page.waitForFunction(() => document.documentElement.dataset.shown === "masters");
  }
  const summary = await page.locator("#master-more-title").textContent();
  await page.goto(`${task.url}/#upscale`);
  await page.getByLabel("Drop pictures here, or choose them").setInputFiles(upload);
  await page.waitForFunction(() => document.getElementById("upscale-result").textContent.includes("×"));
  await page.locator("#upscale summary").press("Enter");
  await page.locator("#upscale-long_edge").fill("5000");
  await page.waitForFunction(() => document.getElementById("upscale-long_edge-error").textContent);
  const server = await page.locator("#upscale-long_edge-error").textContent();
  const typing = await page.evaluate(() => document.activeElement.id);
  await page.locator("#upscale-long_edge").fill("96");
  await page.waitForFunction(() => document.getElementById("upscale-result").textContent.includes("96 ×"));
  return { wrong, refused, jobs, summary, server, typing };
}

/** By http under another machine's name: what fails, waits or is repeated, with stand-ins for previews and work. */
async function trouble({ folder, picture, layered, shots }) {
  const page = await open(360, "light");
  const text = (id) => page.locator(`#${id}`).textContent();
  const said = (id, part) => page.waitForFunction(([name, words]) => document.getElementById(name).textContent.includes(words), [id, part]);
  const api = (method, path, body) => page.evaluate(([how, where, what]) => fetch(where, {
    method: how, headers: { "Content-Type": "application/json" }, body: what && JSON.stringify(what),
  }).then((answer) => answer.json()), [method, path, body]);
  const found = {};
  page.on("dialog", (dialog) => dialog.accept());
  await page.route("**/api/events", (route) => route.fulfill({ status: 502, body: "bad gateway" }), { times: 1 });
  await page.goto(`${task.url}/#upscale`);
  await said("notice", "The console does not answer");
  await page.waitForFunction(() => document.getElementById("notice").textContent === "");
  found.secure = await page.evaluate(() => window.isSecureContext);
  found.title = await page.title();

  const area = await page.locator("#upscale-drop").boundingBox();
  const devtools = await page.context().newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    const data = { items: [], files: [folder, picture], dragOperationsMask: 1 };
    await devtools.send("Input.dispatchDragEvent", { type, x: area.x + 40, y: area.y + 20, data });
  }
  await said("upscale-upload-state", "of");
  await said("upscale-upload-state", "uploaded.");
  found.dropped = [await text("upscale-upload-state"), await text("upscale-refused")];
  await said("preview-state", "became");

  await page.locator("#upscale-model").selectOption("fast");
  await said("preview-state", "No preview: the network is not there");
  await page.locator("#upscale-model").selectOption("photo");
  await said("preview-state", "became"); // the same as before the error
  let release = () => {};
  const held = new Promise((resolve) => { release = resolve; });
  await page.route("**/part", async (route) => {
    await held;
    await route.continue();
  }, { times: 1 });
  const parts = [];
  page.on("request", (request) => request.url().endsWith("/part") && parts.push(request.postDataJSON().inputs));
  const asked = page.waitForRequest("**/part");
  await page.locator("#upscale-model").selectOption("fast"); // it will fail
  await asked;
  await page.locator("#upscale-model").selectOption("photo");
  await page.locator("#upscale-scale").fill("2");
  await said("preview-state", "is being finished");
  release();
  await said("preview-state", "became");
  found.parts = parts.map(({ model, scale }) => [model, scale]);

  await said("upscale-cost", "All 3:");
  await page.locator("input[name=upscale-place][value=replicate]").check();
  await said("upscale-cost", "(");
  found.cost = await text("upscale-cost");
  await page.locator("input[name=upscale-place][value=here]").check();
  await page.locator("#upscale-files").setInputFiles(layered);
  await said("upscale-cost", "no main layer");
  found.layers = await text("upscale-cost");
  await page.locator("#upscale-one").click();
  found.focus = await page.evaluate(() => document.activeElement.id);
  await page.locator("#upscale-layer").fill("spec.RGB");
  await said("preview-state", "became");
  found.notice = await text("notice");

  const started = async () => (await api("GET", "/api/cloud/jobs")).total;
  await page.evaluate(() => { // the second submit is taken, and its answer gets lost
    const real = window.fetch;
    let count = 0;
    window.fetch = async (path, options) => {
      const answer = await real(path, options);
      if (String(path).endsWith("/jobs/submit") && (count += 1) === 2) throw new TypeError("lost");
      return answer;
    };
  });
  await page.locator("#upscale-all").click();
  await said("notice", "1 of 4 are in the queue");
  await page.locator("#upscale-all").click();
  await said("notice", "4 pictures are in the queue");
  found.jobs = await started();
  await page.locator("#upscale-queue .badge.running").waitFor();
  const { source } = (await api("GET", "/api/upscale/pictures")).pictures[0];
  await page.locator("#upscale-queue button").nth(1).focus();
  const before = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  for (let count = 0; count < 9; count += 1) await api("POST", "/api/cloud/jobs/submit", { kind: "master", place: "here", source });
  await said("upscale-queue-state", "13 under way or waiting, the first 10 are shown");
  found.kept = before === await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  found.first = await page.locator("#upscale-queue .badge").first().textContent();
  await page.screenshot({ path: join(shots, "trouble-360.png"), fullPage: true });
  const [{ id: shown }, { id: other }] = (await api("GET", "/api/cloud/jobs")).jobs;
  await page.evaluate((id) => { location.hash = `jobs/${id}`; }, shown);
  await page.locator("#job-dialog[open]").waitFor();
  let answer = () => {};
  const read = new Promise((resolve) => { answer = resolve; });
  await page.route("**/logs", async (route) => {
    await read;
    await route.continue();
  }, { times: 1 });
  const news = page.waitForRequest("**/logs");
  await api("POST", `/api/cloud/jobs/${other}/cancel`);
  await news;
  await page.keyboard.press("Escape");
  const last = page.waitForResponse("**/logs");
  answer();
  await (await last).finished();
  await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 50); }));
  found.closed = await page.evaluate(() => !document.getElementById("job-dialog").open && location.hash === "#jobs");
  await page.evaluate(() => { location.hash = "upscale"; });
  await page.locator("#upscale-cancel-all").click();
  await said("upscale-queue-state", "Nothing is under way");
  const gone = (await api("GET", "/api/upscale/pictures")).pictures[0].id;
  await page.evaluate((id) => fetch(`/api/upscale/pictures/${id}`, { method: "DELETE" }), gone); // in another window
  await page.locator("#upscale-remove-all").click();
  await said("upscale-cost", "Choose a picture.");
  found.overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  return found;
}

/**
 * What a screen reader is told of each tab, by Chromium's accessibility tree: controls, landmarks and tables without
 * a name, images without words, and levels of headings that are left out; and of the eye: contrasts and targets.
 */
async function tree() {
  const NAMED = ["dialog", "table", "search", "region", "tabpanel", "tablist", "image", "meter", "progressbar"];
  const page = await open(390, "dark");
  const devtools = await page.context().newCDPSession(page);
  const found = {};
  for (const tab of task.tabs) {
    const name = tab.split("/")[0];
    await page.goto(`${task.url}/#${tab}`);
    await page.waitForFunction((shown) => document.documentElement.dataset.shown === shown, name);
    await page.evaluate(() => document.querySelectorAll("section:not([hidden]) details").forEach((each) => { each.open = true; }));
    const { nodes } = await devtools.send("Accessibility.getFullAXTree");
    const wrong = [];
    let level = tab.includes("/") ? 1 : 0; // a dialog begins below the page's own heading
    let controls = 0;
    for (const { ignored, role, name: words, properties = [] } of nodes) {
      if (ignored) continue;
      const of = Object.fromEntries(properties.map((each) => [each.name, each.value.value]));
      const isControl = of.focusable && !["main", "RootWebArea"].includes(role.value);
      controls += isControl ? 1 : 0;
      if ((isControl || NAMED.includes(role.value)) && !words?.value.trim()) wrong.push(`a ${role.value} has no name`);
      if (isControl && ["generic", "none"].includes(role.value)) wrong.push(`${words?.value} has no role`);
      if (role.value !== "heading") continue;
      if (of.level > level + 1) wrong.push(`${words.value}: heading ${of.level} after ${level}`);
      level = of.level;
    }
    wrong.push(...await page.evaluate(() => {
      const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      const light = (colour) => {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        const [red, green, blue] = [...pen.getImageData(0, 0, 1, 1).data].map((code) => (code <= 10 ? code / 3294 : ((code / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
      };
      const told = [];
      for (const field of document.querySelectorAll("[placeholder]:not([placeholder=''])")) {
        if (!field.checkVisibility()) continue;
        const pair = [getComputedStyle(field, "::placeholder").color, getComputedStyle(field).backgroundColor].map(light).sort((one, other) => other - one);
        if (pair[0] / pair[1] < 4.5) told.push(`${field.id}: contrast ${(pair[0] / pair[1]).toFixed(2)} of its placeholder`);
      }
      for (const target of document.querySelectorAll("button, input, select, textarea, summary, a.button")) {
        const { width, height } = (target.closest("label.check") ?? target).getBoundingClientRect();
        if (target.checkVisibility() && Math.min(width, height) < 24) told.push(`${target.id || target.textContent}: ${width} × ${height} to touch`);
      }
      return told;
    }));
    found[name === tab ? tab : "job"] = { wrong, controls };
  }
  return found;
}

/** An impatient user with several windows and mistakes in every field. */
async function rude({ picture, job }) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
  page.setDefaultTimeout(30000);
  await page.addInitScript(() => {
    window.streams = [];
    window.EventSource = class extends EventSource {
      constructor(address) {
        super(address);
        window.streams.push(this);
      }
    };
  });
  const text = (id) => page.locator(`#${id}`).textContent();
  const said = (id, part) => page.waitForFunction(([name, words]) => document.getElementById(name).textContent.includes(words), [id, part]);
  const shown = (name) => page.waitForFunction((wanted) => document.documentElement.dataset.shown === wanted, name);
  const jobs = (where = page) => where.evaluate(() => fetch("/api/cloud/jobs").then((answer) => answer.json()).then(({ total }) => total));
  const active = () => page.evaluate(() => document.activeElement.id || document.activeElement.className);
  const asked = [];
  page.on("dialog", (dialog) => {
    asked.push(dialog.message().replace(/[\u2068\u2069]/g, ""));
    dialog.accept();
  });
  const found = { asked };
  await page.goto(`${task.url}/#jobs`);
  await shown("jobs");
  await page.locator("#skip").focus();
  await page.keyboard.press("Enter");
  found.skip = [await active(), await page.evaluate(() => location.hash)];
  await page.locator("#job-list .job").last().press("Enter");
  await page.locator("#job-dialog[open]").waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => location.hash === "#jobs");
  await page.waitForFunction(() => document.activeElement.className === "job").catch(() => {});
  found.back = await active();
  await page.locator("#tab-jobs").press("End");
  await shown("spending");
  found.end = await active();

  await page.goto(`${task.url}/#upscale`);
  await said("upscale-cost", "Free");
  const before = await jobs();
  await page.locator("#upscale-one").dblclick({ delay: 60 });
  await said("notice", "is in the queue");
  found.double = (await jobs()) - before;
  await page.evaluate(async ([source, count]) => {
    const body = JSON.stringify({ kind: "master", place: "here", source });
    for (let index = 0; index < count; index += 1) await fetch("/api/cloud/jobs/submit", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  }, [picture, 4]);
  await said("upscale-queue-state", "5 under way or waiting");
  await page.route("**/api/cloud/jobs?kind=master&status=open&limit=500", (route) => route.continue({ url: route.request().url().replace("limit=500", "limit=2") }));
  await page.locator("#upscale-cancel-all").click();
  await said("upscale-queue-state", "Nothing is under way");
  await page.locator("#upscale summary").click();
  await page.locator("#upscale-print").fill("10x15cm");
  await said("upscale-print-error", "it must be WIDTHxHEIGHT");
  await page.locator("#upscale-print").fill("2x1in@96");
  await said("upscale-result", "128 × 96");
  await page.locator("input[name=upscale-place][value=replicate]").check();
  await said("upscale-print-error", "print is for this machine");

  await page.goto(`${task.url}/#masters/gone`);
  await said("notice", "The trained model that was chosen is gone; photo is chosen instead.");
  found.model = await page.locator("#master-model").inputValue();
  await page.goto(`${task.url}/#train`);
  await shown("train");
  await page.locator("#train-source").fill(join(picture, "..", "pictures"));
  await page.locator("#train summary").click();
  found.more = [];
  for (const value of ["[1]", "5", "null", "{", '{"a": 1}']) {
    await page.locator("#train-more").fill(value);
    await page.locator("#train-ask-estimate").click(); // once: what stands above it does not move under the pointer
    if (value === '{"a": 1}') await said("train-estimate", "at most");
    found.more.push(await text("train-more-error"));
  }
  await page.locator("#train-steps").fill("300");
  await page.locator("#train-ask-estimate").click();
  await said("train-estimate", "at most");
  await page.locator("#train-source").fill("/nowhere");
  await page.locator("#train-ask-estimate").click();
  await said("train-source-error", "is not inside");
  await page.goto(`${task.url}/#cloud`);
  await said("limit-state", "limit");
  found.settings = {};
  for (const [form, name, value] of [
    ["limit", "cost_limit_amount", "-1"], ["limit", "cost_limit_time_zone", "Mars"], ["model", "max_minutes", "1.5"],
    ["webhook", "webhook_url", "nothing"], ["network", "proxy_url", "zzz"], ["delivery", "deliver_s3", "bucket"],
  ]) {
    const old = await page.locator(`#${name}`).inputValue();
    await page.locator(`#${name}`).fill(value);
    await page.locator(`#${form}-form .primary`).click();
    await page.waitForFunction((id) => document.getElementById(`${id}-error`)?.textContent, name);
    found.settings[name] = await text(`${name}-error`);
    await page.locator(`#${name}`).fill(old);
  }

  await page.goto(`${task.url}/#jobs/${job}`);
  await page.locator("#job-dialog[open]").waitFor();
  await page.locator("#delete-job").press("Enter");
  await said("notice", "The job is deleted");
  await page.waitForFunction(() => document.activeElement.id === "search").catch(() => {});
  found.deleted = await active();
  const states = () => page.evaluate(() => window.streams.map((stream) => stream.readyState));
  const turn = (isHidden) => page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { get: () => value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
  await turn(true);
  found.hidden = await states();
  await page.evaluate((source) => fetch("/api/cloud/jobs/submit", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ kind: "master", place: "here", source }),
  }), picture);
  const total = await jobs();
  await turn(false);
  await said("job-count", `${total} jobs`); // what came meanwhile
  found.seen = await states();
  return found;
}

let result;
if (task.tree) {
  result = await tree();
} else if (task.rude) {
  result = await rude(task.rude);
} else if (task.trouble) {
  result = await trouble({ ...task.trouble, shots: task.shots });
} else if (task.fields) {
  result = await fields({ ...task.fields, shots: task.shots });
} else if (task.upscaler) {
  result = await upscaler({ ...task.upscaler, shots: task.shots });
} else if (task.newcomer) {
  result = await newcomer({ ...task.newcomer, url: task.url, shots: task.shots });
} else if (task.journey) {
  result = await journey(task.journey);
} else {
  result = [];
  for (const [width, scheme] of [[1440, "light"], [360, "light"], [1440, "dark"], [360, "dark"]]) {
    result.push(...await look(width, scheme));
  }
}
await browser.close();
process.stdout.write(`${JSON.stringify({ result, said })}\n`);
