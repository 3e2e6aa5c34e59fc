// Walks through the console's page in Chromium; prints what it found as JSON. Run by test_page_chromium.py.
//   node page_check.mjs '{"modules": …, "chromium": …, "url": …, "tabs": [...], "shots": …, "journey": {…} | null}'
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const task = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(task.modules, "index.js"))("playwright-core");
const axe = readFileSync(join(task.modules, "axe-core", "axe.min.js"), "utf8");
const browser = await chromium.launch({ executablePath: task.chromium, args: ["--no-sandbox", "--disable-gpu"] });
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
  await page.getByRole("tab", { name: "New job" }).press("Enter");
  await page.getByLabel("Train on a folder of pictures").check();
  await page.getByLabel("Path of the folder").fill(folder);
  await page.getByLabel("Model that gets the trained version").fill("ada/mine");
  await page.getByRole("button", { name: "Estimate" }).click();
  await page.getByText("no estimate; at most").waitFor();
  await page.getByRole("button", { name: "Submit" }).click();
  await notice("The job was not submitted");
  await page.getByLabel("Hardware, for the price").selectOption("gpu-t4");
  await page.getByLabel("Minutes at most").fill("3");
  await page.getByRole("button", { name: "Submit" }).click();
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

let result;
if (task.journey) {
  result = await journey(task.journey);
} else {
  result = [];
  for (const [width, scheme] of [[1440, "light"], [360, "light"], [1440, "dark"], [360, "dark"]]) {
    result.push(...await look(width, scheme));
  }
}
await browser.close();
process.stdout.write(`${JSON.stringify({ result, said })}\n`);
