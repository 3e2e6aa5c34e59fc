// The preview of the Upscale tab: a part of the picture before and after, with a border and an exposure.
// @ts-check
import { bytes } from "./api.js";
import { $, duration, state, unauthorized } from "./dom.js";
import { isValid } from "./fields.js";
import { develop, unpack } from "./light.js";

/** @typedef {import("./light.js").LightPicture} LightPicture */

/** Of `whole`: its picture, and what is read of it. */
let wholeKey = "";
/** @type {LightPicture | null} */
let whole = null;
/** @type {{before: LightPicture, after: LightPicture, box: number[]} | null} */
let part = null;
let source = { width: 1, height: 1 };
let isBusy = false;
/** What is to be asked next. @type {[any, any] | null} */
let wanted = null;
/** What is shown, so that nothing is asked twice. */
let shown = "";
/** @type {Map<string, number>} */
const paces = new Map();
let onPace = () => {};

/** What the time of a megapixel depends on. @param {{inputs: any, trained_by: string}} options */
const paceKey = ({ inputs: { model, scale, width, height, long_edge, megapixels, print }, trained_by }) =>
  JSON.stringify([model, trained_by, scale, width, height, long_edge, megapixels, print]);

/** @param {string} path @param {unknown} [body] */
const light = async (path, body) => unpack(await bytes(path, body));

/** What is read of a picture, as a query. @param {any} inputs */
const readingOf = ({ layer, part, sdr }) => new URLSearchParams(
  Object.entries({ layer, part, sdr }).filter(([, value]) => value !== undefined).map(([name, value]) => [name, String(value)])).toString();

/**
 * Show a part of a picture as it will be; while one is made, only the newest wish is kept.
 * @param {any} picture @param {{inputs: any, trained_by: string}} options
 */
export async function preview(picture, options) {
  $("preview").hidden = !picture;
  if (!picture) wanted = null;
  if (!picture || !isValid("upscale")) return;
  wanted = [picture, options];
  if (isBusy) {
    state("preview-state", "The preview before this one is being finished …");
    return;
  }
  isBusy = true;
  while (wanted) {
    const [next, how] = wanted;
    wanted = null;
    await make(next, how).catch(fail);
  }
  isBusy = false;
}

/** @param {any} error */
function fail(error) {
  shown = "";
  unauthorized(error);
  state("preview-state", `No preview: ${error.message}`, "bad");
}

/** Seconds for a megapixel of the source, by the last preview; null before there was one that counts. */
preview.secondsPerMegapixel = (/** @type {{inputs: any, trained_by: string}} */ options) => paces.get(paceKey(options)) ?? null;

/** @param {any} picture @param {{inputs: any, trained_by: string}} options */
async function make(picture, options) {
  const body = { x: Number($("preview-x").value) / 100, y: Number($("preview-y").value) / 100, ...options };
  const key = JSON.stringify([picture.id, body]);
  if (key === shown) return;
  const path = `/api/upscale/pictures/${picture.id}`;
  const reading = readingOf(options.inputs);
  if (`${picture.id}?${reading}` !== wholeKey) {
    [wholeKey, whole, part, shown] = ["", null, null, ""]; // nothing of another picture stays beside this one's name
    draw();
    $("preview-name").textContent = picture.name;
    state("preview-state", "The picture is being read …");
    whole = (await light(`${path}/overview?${reading}`)).pictures[0];
    [wholeKey, source] = [`${picture.id}?${reading}`, picture];
    draw();
    if (wanted) return; // another one, or other options
  }
  state("preview-state", "A part is being upscaled …");
  const { pictures, figures } = await light(`${path}/part`, body);
  const [seconds, megapixels, isFirst, peak, ...box] = figures;
  part = { before: pictures[0], after: pictures[1], box };
  shown = key;
  if (!isFirst || !paces.has(paceKey(options))) paces.set(paceKey(options), seconds / megapixels);
  const bright = peak > 1.005 ? `, brightest ${peak.toFixed(1)} times white` : "";
  state("preview-state", `${box[2]} × ${box[3]} pixels became ${pictures[1].width} × ${pictures[1].height} in ${duration10(seconds)}${bright}.`);
  draw();
  onPace();
}

/** @param {number} seconds */
const duration10 = (seconds) => (seconds < 0.05 ? "less than 0.1 s" : seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds));

function draw() {
  const stops = Number($("preview-exposure").value);
  $("preview-stops").textContent = `${stops > 0 ? "+" : ""}${stops}`;
  drawWhole(stops);
  drawPart(stops);
}

/** @param {number} stops */
function drawWhole(stops) {
  const canvas = $("preview-whole");
  const context = canvas.getContext("2d");
  if (!whole) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  [canvas.width, canvas.height] = [whole.width, whole.height];
  context.drawImage(develop(whole, stops), 0, 0);
  if (!part) return;
  const [across, down] = [whole.width / source.width, whole.height / source.height];
  const [x, y, width, height] = [part.box[0] * across, part.box[1] * down, part.box[2] * across, part.box[3] * down];
  for (const [colour, line] of /** @type {[string, number][]} */ ([["#000", 4], ["#fff", 2]])) {
    [context.strokeStyle, context.lineWidth] = [colour, line];
    context.strokeRect(x, y, Math.max(width, 6), Math.max(height, 6));
  }
}

/** @param {number} stops */
function drawPart(stops) {
  const canvas = $("preview-part");
  const context = canvas.getContext("2d");
  if (!part) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  const { before, after } = part;
  [canvas.width, canvas.height] = [after.width, after.height];
  const border = Math.round((Number($("preview-border").value) / 100) * canvas.width);
  context.drawImage(develop(after, stops), 0, 0);
  context.save();
  context.beginPath();
  context.rect(0, 0, border, canvas.height);
  context.clip();
  context.imageSmoothingQuality = "high";
  context.drawImage(develop(before, stops), 0, 0, canvas.width, canvas.height);
  context.restore();
  const line = Math.max(1, Math.round(canvas.width / 280));
  context.fillStyle = "#000";
  context.fillRect(border - line, 0, 3 * line, canvas.height);
  context.fillStyle = "#fff";
  context.fillRect(border, 0, line, canvas.height);
}

/** @param {() => void} changed @param {() => void} paced */
export function startPreview(changed, paced) {
  onPace = paced;
  for (const id of ["preview-border", "preview-exposure"]) $(id).addEventListener("input", draw);
  let timer = 0;
  for (const id of ["preview-x", "preview-y"]) {
    $(id).addEventListener("input", () => {
      clearTimeout(timer);
      timer = window.setTimeout(changed, 250);
    });
  }
  $("preview-whole").addEventListener("click", (/** @type {MouseEvent} */ event) => {
    const area = $("preview-whole").getBoundingClientRect();
    $("preview-x").value = Math.round((100 * (event.clientX - area.left)) / area.width);
    $("preview-y").value = Math.round((100 * (event.clientY - area.top)) / area.height);
    changed();
  });
  $("preview-part").addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (event.pointerType === "mouse" && !event.buttons) return;
    const area = $("preview-part").getBoundingClientRect();
    $("preview-border").value = (100 * (event.clientX - area.left)) / area.width;
    draw();
  });
}
