// The Upscale tab: pictures, options, what comes out, and the queue. The preview is in preview.js.
// @ts-check
import { get, post, remove, REPLICATE } from "./api.js";
import { mayUpload } from "./cloud.js";
import { $, busy, dollars, duration, element, notice, onClick, onSubmit, size, state } from "./dom.js";
import { checkForm, complain, isValid, startChecks } from "./fields.js";
import { fillOptions, masterInputs } from "./master_options.js";
import { preview, startPreview } from "./preview.js";

const TRAINED = "job:";
const OVER = ["completed", "failed", "canceled"];
const SHOWN_JOBS = 20;
const SETTLE_MS = 350;
/** @type {any[]} */
let pictures = [];
let chosen = "";
let asked = 0;
let timer = 0;

const place = () => /** @type {HTMLInputElement} */ (document.querySelector("input[name=upscale-place]:checked")).value;
const picture = () => pictures.find((each) => each.id === chosen);
const megapixels = (/** @type {{width: number, height: number}} */ size) => (size.width * size.height) / 1e6;

/** @param {number} seconds */
const about = (seconds) => (seconds < 1 ? "less than a second" : `about ${duration(seconds)}`);

/** What a job or a preview is made with. */
const options = () => masterInputs("upscale");

/** @param {any} each */
function request(each) {
  const { inputs, trained_by } = options();
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
  button.setAttribute("aria-pressed", String(each.id === chosen));
  button.dataset.picture = each.id;
  button.title = each.name;
  button.append(element("span", each.name, "job-name"), element("span", facts(each), "hint"));
  button.addEventListener("click", () => choose(each.id));
  const away = /** @type {HTMLButtonElement} */ (element("button", "Remove"));
  away.type = "button";
  away.setAttribute("aria-label", `Remove ${each.name}`);
  away.addEventListener("click", () => busy(away, async () => {
    await remove(`/api/upscale/pictures/${each.id}`);
    await showPictures();
    notice(`${each.name} is removed.`);
    $("upscale-files").focus();
  }));
  item.append(button, away);
  return item;
}

async function showPictures() {
  pictures = (await get("/api/upscale/pictures")).pictures;
  if (!picture()) chosen = pictures[0]?.id ?? "";
  drawPictures();
  await changed();
}

function drawPictures() {
  const focused = document.activeElement?.getAttribute("data-picture");
  $("upscale-pictures").replaceChildren(...pictures.map(row));
  if (focused) /** @type {HTMLElement | null} */ (document.querySelector(`[data-picture="${focused}"]`))?.focus();
  $("upscale-empty").hidden = pictures.length > 0;
  $("upscale-all").hidden = pictures.length < 2;
  $("upscale-all").textContent = `Upscale all ${pictures.length}`;
  $("upscale-one").disabled = !chosen;
  $("upscale-sdr").closest("div").hidden = !pictures.some((each) => each.gain_map);
}

/** @param {string} id */
function choose(id) {
  chosen = id;
  drawPictures();
  busy(null, changed);
}

/** Options or picture are others now: say what comes out, and show a part of it. */
async function changed() {
  const number = (asked += 1);
  await Promise.all([showResult(number), preview(picture(), options())]);
}

/** @param {number} number */
async function showResult(number) {
  const each = picture();
  $("upscale-result").replaceChildren();
  if (!each) return;
  if (!isValid("upscale")) {
    state("upscale-cost", "An option is wrong: see beside it.", "bad");
    return;
  }
  const body = request(each);
  const { cog, ...inputs } = /** @type {any} */ (body.inputs);
  const [result, guess] = await Promise.all([
    post(`/api/upscale/pictures/${each.id}/result`, { inputs }),
    cog === "" ? null : post("/api/cloud/estimate", body),
  ]).catch((error) => {
    complain("upscale", error, false); // somebody is typing
    throw error;
  });
  if (number !== asked) return;
  const entries = {
    Picture: `${each.width} × ${each.height}, ${each.color_space}`,
    Result: `${result.width} × ${result.height}, ${result.megapixels.toFixed(result.megapixels < 10 ? 2 : 0)} megapixels`,
    Memory: `${size(result.light_bytes)} for all of its light; large ones are made in tiles`,
  };
  $("upscale-result").replaceChildren(
    ...Object.entries(entries).flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
  state("upscale-cost", cost(each, guess));
}

/** @param {any} each @param {any} guess */
function cost(each, guess) {
  if (!guess) return "Give the address of the container.";
  if (place() === "replicate") {
    if (guess.estimated_cost_usd === null) return `No estimate; at most ${dollars(guess.at_most_usd)}. Basis: ${guess.basis}.`;
    return `About ${duration(guess.avg_duration_seconds)} and ${dollars(guess.estimated_cost_usd)} `
      + `(${dollars(guess.low_usd)} to ${dollars(guess.high_usd)}), at most ${dollars(guess.at_most_usd)}. Basis: ${guess.basis}.`;
  }
  const pace = place() === "here" ? preview.secondsPerMegapixel(options()) : null;
  if (pace !== null) return `Free. It takes ${about(pace * megapixels(each))} by the preview's pace, without loading and writing.`;
  if (guess.avg_duration_seconds !== null) return `Free. It takes ${about(guess.avg_duration_seconds)}. Basis: ${guess.basis}.`;
  return place() === "here" ? "Free. The preview will say how long it takes." : "Free. No estimate of the time.";
}

function changedSoon() {
  clearTimeout(timer);
  timer = window.setTimeout(() => busy(null, changed), SETTLE_MS);
}

/** @param {Iterable<File>} files */
async function upload(files) {
  const given = [...files];
  const refused = [];
  for (const [index, file] of given.entries()) {
    state("upscale-upload-state", `Uploading ${index + 1} of ${given.length}: ${file.name}`);
    try {
      const answer = await fetch(`/api/upscale/pictures?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
      const value = await answer.json();
      if (!answer.ok) throw new Error(value.detail);
      chosen = value.id;
    } catch (error) {
      refused.push(error instanceof TypeError ? `${file.name}: the upload broke off` : String(/** @type {Error} */ (error).message));
    }
  }
  const taken = given.length - refused.length;
  state("upscale-upload-state", [`${taken} of ${given.length} uploaded.`, ...refused].join(" "), refused.length ? "bad" : "good");
  await showPictures();
}

/** @param {any[]} all */
async function submit(all) {
  if (!checkForm("upscale") || (place() === "replicate" && !mayUpload())) return;
  let warning = "";
  for (const each of all) {
    const body = { ...request(each), idempotency_key: crypto.randomUUID() };
    const done = await post("/api/cloud/jobs/submit", body).catch((error) => {
      complain("upscale", error);
      throw error;
    });
    warning = done.cost_limit_warning || warning;
  }
  notice(warning || (all.length === 1 ? `${all[0].name} is in the queue.` : `${all.length} pictures are in the queue.`), Boolean(warning));
  await showQueue();
}

/** @param {any} job */
async function queued(job) {
  const item = $("upscale-job").content.cloneNode(true).firstElementChild;
  item.querySelector(".job-name").textContent = job.name;
  const badge = item.querySelector(".badge");
  badge.textContent = job.cancel_reason && !OVER.includes(job.status) ? "canceling" : job.status;
  badge.classList.add(job.status);
  const left = job.eta_seconds !== null && job.status === "running" ? `, about ${duration(job.eta_seconds)} left` : "";
  const share = job.status === "running" && job.steps ? job.step / job.steps : null;
  const where = job.place === "here" ? "" : ", Replicate";
  item.querySelector(".hint").textContent =
    job.error || `${job.status === "running" ? job.stage : ""}${share === null ? "" : ` ${Math.round(100 * share)} %`}${left}${where}`.replace(/^, /, "");
  const bar = item.querySelector("progress");
  bar.hidden = OVER.includes(job.status);
  bar.setAttribute("aria-label", `Progress of ${job.name}`);
  if (share !== null) bar.value = share;
  const cancel = item.querySelector("button");
  cancel.dataset.cancel = job.id;
  cancel.hidden = OVER.includes(job.status);
  cancel.disabled = job.cancel_reason !== "";
  cancel.setAttribute("aria-label", `Cancel ${job.name}`);
  cancel.addEventListener("click", () => busy(cancel, async () => {
    await post(`/api/cloud/jobs/${job.id}/cancel`);
    notice(`${job.name} is being canceled.`);
    await showQueue();
  }));
  if (job.status === "completed") await links(job, item.querySelector(".row"));
  return item;
}

/** @param {any} job @param {HTMLElement} target */
async function links(job, target) {
  const { files } = await get(`/api/cloud/jobs/${job.id}`);
  for (const file of files) {
    const link = document.createElement("a");
    link.className = "button";
    const compares = file.name === "report.html";
    link.href = compares ? `/api/upscale/jobs/${job.id}/compare` : `/api/upscale/jobs/${job.id}/download/${encodeURIComponent(file.name)}`;
    if (compares) [link.target, link.rel] = ["_blank", "noopener"];
    else link.download = "";
    link.textContent = compares ? "Compare" : `Download ${file.name.split(".").pop()}, ${size(file.size)}`;
    link.setAttribute("aria-label", `${link.textContent}: ${job.name}`);
    target.append(link);
  }
}

async function showQueue() {
  const { jobs } = await get(`/api/cloud/jobs?kind=master&limit=${SHOWN_JOBS}`);
  const items = await Promise.all(jobs.map(queued));
  const focused = document.activeElement?.getAttribute("data-cancel");
  $("upscale-queue").replaceChildren(...items);
  if (focused) /** @type {HTMLElement | null} */ (document.querySelector(`[data-cancel="${focused}"]`))?.focus();
  $("upscale-queue-empty").hidden = items.length > 0;
  const open = jobs.filter((/** @type {any} */ job) => !OVER.includes(job.status)).length;
  const words = open ? `${open} under way or waiting` : "Nothing is under way";
  if ($("upscale-queue-state").textContent !== words) $("upscale-queue-state").textContent = words;
}

async function showChoices() {
  const [{ models }, table] = await Promise.all([get("/api/cloud/models"), get(`${REPLICATE}/hardware`)]);
  const field = $("upscale-model");
  const before = [field.value, $("upscale-hardware").value];
  $("upscale-trained").replaceChildren(...models.map((/** @type {any} */ model) => new Option(model.name, TRAINED + model.job_id)));
  $("upscale-trained").hidden = models.length === 0;
  field.value = before[0];
  $("upscale-hardware").replaceChildren(...table.hardware.map((/** @type {any} */ each) =>
    new Option(`${each.name}, ${dollars(each.cost_per_hour)} an hour`, each.sku)));
  $("upscale-hardware").value = before[1] || table.default_hardware;
}

function showFields() {
  for (const each of document.querySelectorAll("#upscale-form [data-place]")) {
    /** @type {HTMLElement} */ (each).hidden = each.getAttribute("data-place") !== place();
  }
}

function startDrop() {
  const target = $("upscale-drop");
  for (const name of ["dragover", "drop"]) {
    // Beside the field too: else the browser would leave this page for the picture.
    document.addEventListener(name, (event) => event.preventDefault());
  }
  for (const [name, over] of /** @type {[string, boolean][]} */ ([["dragover", true], ["dragleave", false], ["drop", false]])) {
    target.addEventListener(name, (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      target.classList.toggle("over", over);
      if (name === "drop" && event.dataTransfer) busy(null, () => upload(/** @type {DataTransfer} */ (event.dataTransfer).files));
    });
  }
  $("upscale-files").addEventListener("change", () => busy(null, async () => {
    await upload($("upscale-files").files);
    $("upscale-files").value = "";
  }));
}

let isFresh = true;

/** @type {import("./main.js").Tab} */
export const upscale = {
  name: "upscale", title: "Upscale", live: true,
  start: () => {
    startChecks("upscale");
    startDrop();
    startPreview(() => busy(null, changed), () => busy(null, () => showResult(asked)));
    for (const name of ["input", "change"]) {
      $("upscale-form").addEventListener(name, (/** @type {Event} */ event) => {
        if (event.target === $("upscale-files")) return;
        showFields();
        changedSoon();
      });
    }
    onSubmit("upscale-form", () => submit([picture()]));
    onClick("upscale-all", () => submit(pictures));
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
