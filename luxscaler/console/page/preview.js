// The preview of the Upscale tab: a part of the picture before and after, with a border and an exposure.
// @ts-check
import { $, duration, state } from "./dom.js";
import { isValid } from "./fields.js";
import { develop, unpack } from "./light.js";

/** @typedef {import("./light.js").LightPicture} LightPicture */

let pictureId = "";
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

/** @param {{inputs: any, trained_by: string}} options */
const paceKey = ({ inputs, trained_by }) => JSON.stringify([inputs.model, trained_by, inputs.scale]);

/** @param {string} path @param {unknown} [body] */
async function light(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return unpack(await answer.arrayBuffer());
}

/**
 * Show a part of a picture as it will be; while one is made, only the newest wish is kept.
 * @param {any} picture @param {{inputs: any, trained_by: string}} options
 */
export async function preview(picture, options) {
  $("preview").hidden = !picture;
  if (!picture || !isValid("upscale")) return;
  wanted = [picture, options];
  if (isBusy) return;
  isBusy = true;
  try {
    while (wanted) {
      const [next, how] = wanted;
      wanted = null;
      await make(next, how);
    }
  } catch (error) {
    state("preview-state", `No preview: ${/** @type {Error} */ (error).message}`, "bad");
  } finally {
    isBusy = false;
  }
}

/** Seconds for a megapixel of the source, by the last preview; null before there was one that counts. */
preview.secondsPerMegapixel = (/** @type {{inputs: any, trained_by: string}} */ options) => paces.get(paceKey(options)) ?? null;

/** @param {any} picture @param {{inputs: any, trained_by: string}} options */
async function make(picture, options) {
  const body = { x: Number($("preview-x").value) / 100, y: Number($("preview-y").value) / 100, ...options };
  const key = JSON.stringify([picture.id, body]);
  if (key === shown) return;
  const path = `/api/upscale/pictures/${picture.id}`;
  state("preview-state", "A part is being upscaled …");
  if (picture.id !== pictureId) {
    part = null;
    whole = (await light(`${path}/overview`)).pictures[0];
    [pictureId, source] = [picture.id, picture];
    draw();
  }
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
const duration10 = (seconds) => (seconds < 10 ? `${seconds.toFixed(1)} s` : duration(seconds));

function draw() {
  const stops = Number($("preview-exposure").value);
  $("preview-stops").textContent = `${stops > 0 ? "+" : ""}${stops}`;
  drawWhole(stops);
  drawPart(stops);
}

/** @param {number} stops */
function drawWhole(stops) {
  if (!whole) return;
  const canvas = $("preview-whole");
  [canvas.width, canvas.height] = [whole.width, whole.height];
  const context = canvas.getContext("2d");
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
