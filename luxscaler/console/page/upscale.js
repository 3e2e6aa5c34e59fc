// The Upscale tab: pictures, options, and what comes out. Uploads, preview and queue have their own modules.
// @ts-check
import { ApiError, get, newKey, post, remove, REPLICATE } from "./api.js";
import { mayUpload } from "./cloud.js";
import { $, arrange, busy, dollars, duration, element, isolated, notice, onClick, onSubmit, size, state } from "./dom.js";
import { checkForm, complain, firstProblem, isValid, startChecks } from "./fields.js";
import { chooseModel, fillOptions, masterInputs } from "./master_options.js";
import { preview, startPreview } from "./preview.js";
import { showQueue, startQueue } from "./queue.js";
import { startUploads, upload } from "./uploads.js";

const TRAINED = "job:";
const SETTLE_MS = 350;
const GONE = 404, IN_USE = 409, WRONG = 422;
/** @type {any[]} */
let pictures = [];
let chosen = "";
/** Whether somebody has chosen that one since the last upload began. */
let isPicked = false;
/** @type {Map<string, HTMLElement>} The rows of pictures that are shown. */
const rows = new Map();
/** Keys of submits that are not known to be taken, by their text: to send one again is not to pay twice. @type {Map<string, string>} */
const keys = new Map();
let asked = 0;
let timer = 0;

const place = () => /** @type {HTMLInputElement} */ (document.querySelector("input[name=upscale-place]:checked")).value;
const picture = () => pictures.find((each) => each.id === chosen);
const megapixels = (/** @type {{width: number, height: number}} */ size) => (size.width * size.height) / 1e6;

/** @param {number} seconds */
const about = (seconds) => (seconds < 1 ? "less than a second" : `about ${duration(seconds)}`);

/** What a job or a preview of a picture is made with: an EXR alone has layers and parts. @param {any} each */
function options(each) {
  const made = masterInputs("upscale");
  if (!each || each.format === "exr") return made;
  const { layer, part, ...inputs } = made.inputs;
  return { ...made, inputs };
}

/** @param {any} each */
function request(each) {
  const { inputs, trained_by } = options(each);
  const cog = place() === "cog" ? { cog: $("upscale-cog").value.trim() } : {};
  return {
    kind: "master", source: each.source, name: each.name, trained_by, inputs: { ...inputs, ...cog },
    place: place() === "replicate" ? "replicate" : "here",
    hardware: place() === "replicate" ? $("upscale-hardware").value : "",
  };
}

/** @param {any} each */
function facts(each) {
  const depth = each.is_float ? "float" : `${each.bits} bits`;
  const parts = [`${each.width} × ${each.height}`, each.color_space, `${depth}`, each.format, size(each.bytes)];
  if (each.has_alpha) parts.push("with alpha");
  if (each.gain_map) parts.push("with a gain map");
  return parts.join(", ");
}

/** @param {any} each */
function row(each) {
  const item = element("li");
  const button = /** @type {HTMLButtonElement} */ (element("button", "", "picture"));
  button.type = "button";
  button.title = each.name;
  button.append(element("span", each.name, "job-name"), element("span", facts(each), "hint"));
  button.addEventListener("click", () => {
    isPicked = true;
    notice("");
    choose(each.id);
  });
  const away = /** @type {HTMLButtonElement} */ (element("button", "Remove"));
  away.type = "button";
  away.setAttribute("aria-label", `Remove ${each.name}`);
  away.addEventListener("click", () => busy(away, async () => {
    const index = [...$("upscale-pictures").children].indexOf(item);
    await removed([each]);
    const next = $("upscale-pictures").children;
    (item.isConnected ? away : next[Math.min(index, next.length - 1)]?.lastElementChild ?? $("upscale-files")).focus();
  }));
  item.append(button, away);
  return item;
}

/** Remove pictures; those that jobs are under way with stay. @param {any[]} all */
async function removed(all) {
  /** @type {string[]} */
  const refused = [];
  for (const each of all) {
    await remove(`/api/upscale/pictures/${each.id}`).catch((error) => {
      if (error.status === GONE) return; // by its age, or in another window
      if (error.status !== IN_USE) throw error;
      refused.push(error.message);
    });
  }
  await showPictures();
  const count = all.length - refused.length;
  const words = all.length === 1 ? `${isolated(all[0].name)} is removed.` : `${count} pictures are removed.`;
  notice(refused.length ? `${count ? `${words} ` : ""}${refused[0]}${refused.length > 1 ? `, and ${refused.length - 1} more` : ""}` : words, refused.length > 0);
}

async function showPictures() {
  pictures = (await get("/api/upscale/pictures")).pictures;
  if (!picture()) chosen = pictures[0]?.id ?? "";
  drawPictures();
  await changed();
}

function drawPictures() {
  for (const id of rows.keys()) if (!pictures.some((each) => each.id === id)) rows.delete(id);
  arrange($("upscale-pictures"), pictures.map((each) => {
    const item = rows.get(each.id) ?? row(each);
    rows.set(each.id, item);
    item.firstElementChild?.setAttribute("aria-pressed", String(each.id === chosen));
    return item;
  }));
  const several = pictures.length > 1;
  $("upscale-empty").hidden = pictures.length > 0;
  $("upscale-all").hidden = !several;
  $("upscale-all").textContent = `Upscale all ${pictures.length}`;
  $("upscale-remove-all").hidden = !several;
  $("upscale-one").disabled = !chosen;
  $("upscale-sdr").closest("div").hidden = !pictures.some((each) => each.gain_map);
}

/** An EXR of several layers offers their names, and needs one of them if none is the main one. */
function offerLayers() {
  if (!document.getElementById("upscale-layer")) return; // the fields are not built yet
  const { layers = [], has_main_layer = true } = picture() ?? {};
  $("upscale-layers").replaceChildren(...layers.map((/** @type {string} */ name) => new Option(name, name)));
  const field = $("upscale-layer");
  field.setAttribute("list", "upscale-layers");
  const isOpen = !has_main_layer && !field.value.trim() && !$("upscale-part").value;
  field.setCustomValidity(isOpen ? `This EXR has no main layer: choose ${layers.slice(0, 8).join(", ")}.` : "");
}

/** @param {string} id */
function choose(id) {
  chosen = id;
  drawPictures();
  busy(null, changed);
}

/** Options or picture are others now: say what comes out, and show a part of it. */
async function changed() {
  offerLayers();
  const number = (asked += 1);
  await Promise.all([showResult(number), preview(picture(), options(picture()))]).catch(async (error) => {
    if (!(error instanceof ApiError && error.status === GONE && picture())) throw error;
    notice(error.message, true);
    await showPictures();
  });
}

/** Nothing can be said of a result. @param {string} why @param {"" | "bad"} [mood] */
function unknown(why, mood = "") {
  $("upscale-result").replaceChildren();
  state("upscale-cost", why, mood);
}

/** @param {number} number */
async function showResult(number) {
  const each = picture();
  if (!each) {
    unknown("Choose a picture.");
    return;
  }
  if (!isValid("upscale")) {
    const words = firstProblem("upscale");
    unknown(words, "bad");
    state("preview-state", `No preview. ${words}`, "bad");
    return;
  }
  const body = request(each);
  const { cog, ...inputs } = /** @type {any} */ (body.inputs);
  const [result, guess] = await Promise.all([
    post(`/api/upscale/pictures/${each.id}/result`, { inputs, place: body.place }),
    cog === "" ? null : post("/api/cloud/estimate", body),
  ]).catch((error) => {
    if (number !== asked) return [];
    unknown(error.status ? error.message : "Not known: the console does not answer.", "bad");
    complain("upscale", error, false); // somebody is typing
    if (error.status === WRONG) return []; // said beside the field, and above
    throw error;
  });
  if (!result) return;
  if (number !== asked) return;
  const entries = {
    Picture: `${each.width} × ${each.height}, ${each.color_space}`,
    Result: `${result.width} × ${result.height}, ${result.megapixels.toFixed(result.megapixels < 10 ? 2 : 0)} megapixels`,
    Memory: `${size(result.light_bytes)} for all of its light; large ones are made in tiles`,
  };
  $("upscale-result").replaceChildren(
    ...Object.entries(entries).flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
  state("upscale-cost", [cost(each, guess), costOfAll(each, guess)].filter(Boolean).join(" "));
}

/** Of all pictures together, by their pixels; the most is exact. @param {any} each @param {any} guess */
function costOfAll(each, guess) {
  if (pictures.length < 2 || !guess) return "";
  const times = pictures.reduce((sum, other) => sum + megapixels(other), 0) / megapixels(each);
  const name = `All ${pictures.length}:`;
  if (place() === "replicate") {
    const sum = guess.estimated_cost_usd === null ? "" : `about ${dollars(times * guess.estimated_cost_usd)}, `;
    return `${name} ${sum}at most ${dollars(pictures.length * guess.at_most_usd)}.`;
  }
  const pace = secondsHere(each);
  const seconds = pace ?? guess.avg_duration_seconds;
  return seconds === null ? "" : `${name} ${about(times * seconds)}${pace === null ? "" : ", and some seconds for each of them"}.`;
}

/** By the preview, where this machine computes. @param {any} each @returns {number | null} */
function secondsHere(each) {
  const pace = place() === "here" ? preview.secondsPerMegapixel(options(each)) : null;
  return pace === null ? null : pace * megapixels(each);
}

/** @param {any} each @param {any} guess */
function cost(each, guess) {
  if (!guess) return "Give the address of the container.";
  if (place() === "replicate") {
    if (guess.estimated_cost_usd === null) return `No estimate; at most ${dollars(guess.at_most_usd)}. Basis: ${guess.basis}.`;
    return `About ${duration(guess.avg_duration_seconds)} and ${dollars(guess.estimated_cost_usd)} `
      + `(${dollars(guess.low_usd)} to ${dollars(guess.high_usd)}), at most ${dollars(guess.at_most_usd)}. Basis: ${guess.basis}.`;
  }
  const seconds = secondsHere(each);
  if (seconds !== null) return `Free. It takes ${about(seconds)} by the preview's pace, and some seconds to load and write.`;
  if (guess.avg_duration_seconds !== null) return `Free. It takes ${about(guess.avg_duration_seconds)}. Basis: ${guess.basis}.`;
  return place() === "here" ? "Free. The preview will say how long it takes." : "Free. No estimate of the time.";
}

function changedSoon() {
  clearTimeout(timer);
  timer = window.setTimeout(() => busy(null, changed), SETTLE_MS);
}

/** @param {File[]} files */
async function take(files) {
  isPicked = false;
  notice("");
  /** @param {any} each */
  const onTaken = (each) => {
    pictures.unshift(each);
    drawPictures();
    if (!chosen) choose(each.id);
  };
  if (!(await upload(files, onTaken))) return;
  if (!isPicked) chosen = ""; // the newest
  await showPictures();
}

/** @param {any[]} all */
async function submit(all) {
  if (!checkForm("upscale") || (place() === "replicate" && !mayUpload())) return;
  let warning = "", taken = 0;
  for (const each of all) {
    const body = request(each);
    const text = JSON.stringify(body);
    keys.set(text, keys.get(text) ?? newKey());
    const done = await post("/api/cloud/jobs/submit", { ...body, idempotency_key: keys.get(text) }).catch(async (error) => {
      complain("upscale", error);
      await showQueue().catch(() => {});
      if (all.length === 1) throw error;
      throw new ApiError(`${taken} of ${all.length} are in the queue. ${isolated(each.name)}: ${error.message}`, error.status);
    });
    taken += 1;
    warning = done.cost_limit_warning || warning;
  }
  keys.clear();
  notice(warning || (all.length === 1 ? `${isolated(all[0].name)} is in the queue.` : `${all.length} pictures are in the queue.`), Boolean(warning));
  await showQueue();
}

async function showChoices() {
  const [{ models }, table] = await Promise.all([get("/api/cloud/models"), get(`${REPLICATE}/hardware`)]);
  const before = [$("upscale-model").value, $("upscale-hardware").value];
  $("upscale-trained").replaceChildren(...models.map((/** @type {any} */ model) => new Option(model.name, TRAINED + model.job_id)));
  $("upscale-trained").hidden = models.length === 0;
  chooseModel("upscale", before[0]);
  $("upscale-hardware").replaceChildren(...table.hardware.map((/** @type {any} */ each) =>
    new Option(`${each.name}, ${dollars(each.cost_per_hour)} an hour`, each.sku)));
  $("upscale-hardware").value = before[1] || table.default_hardware;
}

function showFields() {
  for (const each of document.querySelectorAll("#upscale-form [data-place]")) {
    /** @type {HTMLElement} */ (each).hidden = each.getAttribute("data-place") !== place();
  }
}

let isFresh = true;

/** @type {import("./main.js").Tab} */
export const upscale = {
  name: "upscale", title: "Upscale", live: true,
  start: () => {
    startChecks("upscale");
    startUploads(take);
    startQueue();
    startPreview(() => busy(null, changed), () => busy(null, () => showResult(asked)));
    for (const name of ["input", "change"]) {
      $("upscale-form").addEventListener(name, offerLayers, { capture: true }); // before it is asked what is wrong
      $("upscale-form").addEventListener(name, (/** @type {Event} */ event) => {
        if (event.target === $("upscale-files")) return;
        showFields();
        changedSoon();
      });
    }
    onSubmit("upscale-form", () => submit([picture()]));
    onClick("upscale-all", () => submit([...pictures].reverse())); // in the order in which they came
    onClick("upscale-remove-all", async () => {
      const words = `Remove all ${pictures.length} pictures from the console? The files on your computer stay.`;
      if (window.confirm(words)) await removed([...pictures]);
    });
    document.addEventListener("found-again", () => {
      isFresh = true;
    });
    document.addEventListener("visibilitychange", () => { // another window may have brought or removed some
      if (!document.hidden && !$("upscale").hidden) busy(null, showPictures);
    });
    showFields();
  },
  show: async () => {
    await fillOptions("upscale", "png");
    if (isFresh) await Promise.all([showChoices(), showPictures(), showQueue()]);
    else await showQueue();
    isFresh = false;
  },
  hide: () => {
    isFresh = true;
  },
};
