"use strict";
// What the compare page does; page.py puts it into report.html.

const $ = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const data = JSON.parse($("data").textContent);
const MAX_ZOOM = 16;
const view = { exposure: 0, tone: 1, split: 0.5, zoom: 1, x: 0.5, y: 0.5, grid: 0, tile: 0, full: 0 };
const LIMITS = {
  exposure: [-6, 3], tone: [0, 1], split: [0, 1], zoom: [1, MAX_ZOOM], x: [0, 1], y: [0, 1], grid: [0, 1],
  tile: [0, data.tiles.length], full: [0, 1],
};
const pictures = {};

// ---- Pictures: coded half floats (previews.py says how) → 8-bit sRGB at an exposure.

async function inflate(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function undoPrediction(bytes, width, height, channels) {
  const count = width * height * channels, codes = new Uint16Array(count);
  for (let i = 0, row = 0; row < height * channels; row++) {
    const above = row % height ? width : 0;
    for (let x = 0; x < width; x++, i++) {
      const left = x ? codes[i - 1] : 0, upper = above ? codes[i - width] : 0;
      const corner = x && above ? codes[i - width - 1] : 0;
      const low = Math.min(left, upper), high = Math.max(left, upper);
      const folded = bytes[i] | bytes[count + i] << 8;
      codes[i] = clamp(left + upper - corner, low, high) + (folded >> 1 ^ -(folded & 1));
    }
  }
  return codes;
}

/** The light of each code, at an exposure; negative light, outside Rec.709, counts as none. */
function lightOf(exposure) {
  const mantissa = 1 << data.mantissaBits, light = new Float32Array(1 << data.codeBits);
  for (let code = 0; code < light.length / 2; code++) {
    const exponent = code >> data.mantissaBits, rest = code % mantissa / mantissa;
    light[code] = 2 ** exposure * (exponent ? (1 + rest) * 2 ** (exponent - 15) : rest * 2 ** -14);
  }
  return light;
}

/** For each code what `coding` makes of its light. */
function tableOf(light, coding) {
  return Uint8ClampedArray.from(light, (one) => 255 * coding(one));
}

const srgb = (light) => light <= 0.0031308 ? 12.92 * light : 1.055 * Math.min(light, 1) ** (1 / 2.4) - 0.055;

async function unpack(picture) {
  const { id, width, height, channels } = picture;
  const codes = undoPrediction(await inflate($(id).textContent), width, height, channels);
  $(id).remove();
  const canvas = $(`${id}-canvas`) ?? document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  const size = width * height, alpha = tableOf(lightOf(0), (share) => share);
  for (let i = 0; i < size; i++) image.data[4 * i + 3] = channels > 3 ? alpha[codes[3 * size + i]] : 255;
  const peak = 2 ** data.peaks[id.endsWith("before") ? "before" : "after"];
  pictures[id] = { canvas, context, image, codes, width, height, peak, transparent: channels > 3 };
}

/** As PNG and WebP show it (io/sdr.py): above the knee the brightest channel is rolled off, the hue stays. */
const rolledOff = (level, white) => {
  const above = (level - data.knee) / (1 - data.knee);
  return Math.min(data.knee + (1 - data.knee) * above * (1 + above / white ** 2) / (1 + above), 1);
};

const CODES = Uint8ClampedArray.from({ length: 4096 }, (_, i) => 255 * srgb((i / 4095) ** 2));
const coded = (light) => CODES[light < 1 ? Math.sqrt(light) * 4095 + 0.5 | 0 : 4095];

function develop({ context, image, codes, width, height, peak }, light, table) {
  const size = width * height, samples = image.data, top = peak * 2 ** view.exposure;
  const white = (Math.max(top, 1) - data.knee) / (1 - data.knee), rolls = view.tone && top > 1.001;
  for (let i = 0, to = 0; i < size; i++, to += 4) {
    const red = codes[i], green = codes[size + i], blue = codes[2 * size + i];
    const level = rolls ? Math.max(light[red], light[green], light[blue]) : 0;
    if (level > data.knee) {
      const gain = rolledOff(level, white) / level;
      samples[to] = coded(gain * light[red]);
      samples[to + 1] = coded(gain * light[green]);
      samples[to + 2] = coded(gain * light[blue]);
    } else {
      samples[to] = table[red];
      samples[to + 1] = table[green];
      samples[to + 2] = table[blue];
    }
  }
  context.putImageData(image, 0, 0);
}

let developed = "", later = 0;
function expose() {
  if (developed === `${view.exposure} ${view.tone}`) return;
  developed = `${view.exposure} ${view.tone}`;
  const light = lightOf(view.exposure), table = tableOf(light, srgb);
  develop(pictures.before, light, table);
  develop(pictures.after, light, table);
  // The details are below; they follow once the slider rests.
  clearTimeout(later);
  const rest = Object.keys(pictures).slice(2);
  later = setTimeout(() => rest.forEach((id) => develop(pictures[id], light, table)), 60);
  drawHistogram();
}

// ---- The stage.

const stage = $("stage"), handle = $("handle"), canvas = $("canvas"), pen = canvas.getContext("2d");

/** Where the picture lies on the stage, in CSS pixels; keeps the view inside it. */
function place() {
  const { width, height } = pictures.after, across = stage.clientWidth, down = stage.clientHeight;
  const scale = Math.min(across / width, down / height) * view.zoom;
  const centre = (at, size, room) => size <= room ? 0.5 : clamp(at, room / 2 / size, 1 - room / 2 / size);
  view.x = centre(view.x, width * scale, across);
  view.y = centre(view.y, height * scale, down);
  return {
    scale, width: width * scale, height: height * scale, across, down,
    left: across / 2 - view.x * width * scale, top: down / 2 - view.y * height * scale,
  };
}

/** What can be seen of the picture from left to right: the border moves within it. */
function visible(at) {
  const first = Math.max(at.left, 0);
  return { first, length: Math.min(at.left + at.width, at.across) - first };
}

function drawSide(picture, at) {
  if (picture.transparent) {
    pen.fillStyle = checks;
    pen.fillRect(at.left, at.top, at.width, at.height);
  }
  pen.imageSmoothingEnabled = at.scale * devicePixelRatio < 4;  // beyond that one wants to see the pixels
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture.canvas, at.left, at.top, at.width, at.height);
}

function makeChecks() {
  const tile = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
  const brush = tile.getContext("2d");
  ["#777", "#999"].forEach((grey, odd) => {
    brush.fillStyle = grey;
    brush.fillRect(8 * odd, 0, 8, 8);
    brush.fillRect(8 - 8 * odd, 8, 8, 8);
  });
  return pen.createPattern(tile, "repeat");
}
const checks = makeChecks();

function draw() {
  expose();
  const at = place(), seen = visible(at), border = seen.first + view.split * seen.length;
  canvas.width = Math.round(at.across * devicePixelRatio);
  canvas.height = Math.round(at.down * devicePixelRatio);
  pen.setTransform(canvas.width / at.across, 0, 0, canvas.height / at.down, 0, 0);
  drawSide(pictures.after, at);
  pen.save();
  pen.beginPath();
  pen.rect(0, 0, border, at.down);
  pen.clip();
  pen.clearRect(0, 0, border, at.down);
  drawSide(pictures.before, at);
  pen.restore();
  if (view.grid) [...data.tiles].sort((a, b) => weight(a) - weight(b)).forEach((tile) => drawTile(tile, at));
  handle.style.left = `${border}px`;
  const end = seen.first + seen.length;
  $("side-before").style.left = `${seen.first + 12}px`;
  $("side-after").style.right = `${at.across - end + 12}px`;
  $("side-before").style.opacity = border - seen.first > 110 ? 1 : 0;
  $("side-after").style.opacity = end - border > 100 ? 1 : 0;
}

function outline(tile, at) {
  const [x, y, width, height] = tile.box;
  return [at.left + x * at.width, at.top + y * at.height, width * at.width, height * at.height];
}

/** What is drawn last, on top of its neighbours: the chosen tile, then those that took more than one attempt. */
const weight = (tile) => tile.number === view.tile ? Infinity : tile.attempts;

function drawTile(tile, at) {
  const box = outline(tile, at), chosen = tile.number === view.tile;
  pen.lineWidth = 3;
  pen.strokeStyle = "rgb(0 0 0 / .35)";
  pen.strokeRect(...box);
  pen.lineWidth = chosen ? 2.5 : 1;
  pen.strokeStyle = chosen || tile.attempts > 1 ? "#ffb454" : "rgb(255 255 255 / .75)";
  if (chosen) {
    pen.fillStyle = "rgb(255 180 84 / .18)";
    pen.fillRect(...box);
  }
  pen.strokeRect(...box);
  if (Math.min(box[2], box[3]) < 44) return;
  const [x, y] = [box[0] + box[2] / 2, box[1] + box[3] / 2], text = String(tile.number);
  pen.font = "600 13px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  const wide = pen.measureText(text).width + 14;
  pen.fillStyle = "rgb(0 0 0 / .68)";
  pen.fillRect(x - wide / 2, y - 11, wide, 22);
  pen.fillStyle = chosen || tile.attempts > 1 ? "#ffb454" : "#fff";
  pen.fillText(text, x, y + 1);
}

/** The tile at a place; tiles overlap, so the one whose middle is nearest. */
function tileAt(x, y) {
  const at = place();
  let best = null, least = Infinity;
  for (const tile of data.tiles) {
    const [left, top, width, height] = outline(tile, at);
    const off = Math.max(Math.abs(x - left - width / 2) / width, Math.abs(y - top - height / 2) / height);
    if (off <= 0.5 && off < least) [best, least] = [tile, off];
  }
  return best;
}

// ---- State: controls and address show it; whatever changes it comes through `update`.

let waiting = false, written = 0;
function update(changes) {
  for (const [name, [low, high]] of Object.entries(LIMITS)) {
    const value = Number(changes[name] ?? view[name]);
    if (Number.isFinite(value)) view[name] = clamp(value, low, high);
  }
  view.tile = Math.round(view.tile);
  view.tone = Math.round(view.tone);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    show();
    clearTimeout(written);
    written = setTimeout(writeAddress, 250);  // browsers refuse hundreds of entries a second
  });
}

function stops(value) {
  const text = Math.abs(value).toFixed(2).replace(/\.?0+$/, "");
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${text} stop${Math.abs(value) === 1 ? "" : "s"}`;
}

function show() {
  document.body.classList.toggle("full", Boolean(view.full));
  $("full").setAttribute("aria-pressed", String(Boolean(view.full)));
  $("grid").setAttribute("aria-pressed", String(Boolean(view.grid)));
  $("tone").setAttribute("aria-pressed", String(Boolean(view.tone)));
  draw();
  $("exposure").value = view.exposure;
  $("exposure").setAttribute("aria-valuetext", stops(view.exposure));
  $("exposure-shown").textContent = stops(view.exposure);
  $("zoom-shown").textContent = `× ${Number(view.zoom.toFixed(1))}`;
  stage.classList.toggle("zoomed", view.zoom > 1);
  const percent = Math.round(100 * view.split);
  handle.setAttribute("aria-valuenow", percent);
  handle.setAttribute("aria-valuetext", `before ${percent} %, after ${100 - percent} %`);
  $("tile").hidden = $("tile-shown").hidden = !view.grid;
  $("tile").value = view.tile || "";
  const tile = data.tiles.find(({ number }) => number === view.tile);
  $("tile-shown").textContent = `of ${data.tiles.length}` + (tile ? ` · ${tile.text}` : "");
}

function writeAddress() {
  const parts = Object.entries(view).filter(([name, value]) => value !== START[name]);
  const words = parts.map(([name, value]) => `${name}=${Number(value.toFixed(4))}`).join("&");
  history.replaceState(null, "", `${location.pathname}${location.search}${words && `#${words}`}`);
}
const START = { ...view };

function readAddress() {
  update({ ...START, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) });
}

/** Zoom so that the point (x, y) of the stage stays where it is. */
function zoomAt(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const old = place(), zoom = clamp(view.zoom * factor, 1, MAX_ZOOM), grown = zoom / view.zoom;
  update({
    zoom,
    x: (old.across / 2 - x + (x - old.left) * grown) / (old.width * grown),
    y: (old.down / 2 - y + (y - old.top) * grown) / (old.height * grown),
  });
}

function pan(x, y) {
  const at = place();
  update({ x: view.x - x / at.width, y: view.y - y / at.height });
}

// ---- Pointers and keys.

const pointers = new Map();
const spot = (event) => {
  const frame = stage.getBoundingClientRect();
  return [event.clientX - frame.left, event.clientY - frame.top];
};

stage.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  pointers.set(event.pointerId, { at: spot(event), from: spot(event), onHandle: event.target === handle });
  stage.setPointerCapture(event.pointerId);
  stage.classList.add("moving");
});
stage.addEventListener("pointermove", (event) => {
  const pointer = pointers.get(event.pointerId), now = spot(event);
  showTip(pointers.size ? null : now);
  if (!pointer) return;
  const old = pointer.at, other = [...pointers.values()].find((one) => one !== pointer);
  pointer.at = now;
  if (other) {
    const distance = (point) => Math.hypot(point[0] - other.at[0], point[1] - other.at[1]);
    pan((now[0] - old[0]) / 2, (now[1] - old[1]) / 2);
    zoomAt(distance(now) / Math.max(1, distance(old)), (now[0] + other.at[0]) / 2, (now[1] + other.at[1]) / 2);
  } else if (pointer.onHandle) {
    const seen = visible(place());
    update({ split: (now[0] - seen.first) / seen.length });
  } else {
    pan(now[0] - old[0], now[1] - old[1]);
  }
});
for (const name of ["pointerup", "pointercancel"]) {
  stage.addEventListener(name, (event) => {
    const { at, from, onHandle } = pointers.get(event.pointerId) ?? { onHandle: true };
    const tapped = !onHandle && name === "pointerup" && Math.hypot(at[0] - from[0], at[1] - from[1]) < 5;
    if (tapped && view.grid) update({ tile: tileAt(...at)?.number ?? 0 });
    pointers.delete(event.pointerId);
    stage.classList.remove("moving");
  });
}
stage.addEventListener("pointerleave", () => showTip(null));

function showTip(point) {
  const tile = view.grid && point ? tileAt(...point) : null, tip = $("tip");
  tip.hidden = !tile;
  if (!tile) return;
  tip.textContent = `Tile ${tile.number} · ${tile.text}`;
  tip.style.left = `${clamp(point[0] + 14, 0, stage.clientWidth - tip.offsetWidth)}px`;
  tip.style.top = `${clamp(point[1] + 18, 0, stage.clientHeight - tip.offsetHeight)}px`;
}

stage.addEventListener("wheel", (event) => {
  if (view.zoom === 1 && event.deltaY > 0 && !view.full) return;  // nothing to zoom out of: the page scrolls
  event.preventDefault();
  zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.03 : 0.002)), ...spot(event));
}, { passive: false });
stage.addEventListener("dblclick", (event) => zoomAt(view.zoom > 1 ? 1 / view.zoom : 4, ...spot(event)));

const STEP = 60;
const KEYS = {
  "+": () => zoomAt(1.25), "=": () => zoomAt(1.25), "-": () => zoomAt(0.8), 0: () => update({ zoom: 1 }),
  ArrowLeft: () => pan(STEP, 0), ArrowRight: () => pan(-STEP, 0),
  ArrowUp: () => pan(0, STEP), ArrowDown: () => pan(0, -STEP),
};
const HANDLE_KEYS = {
  ArrowLeft: (step) => view.split - step, ArrowDown: (step) => view.split - step, Home: () => 0,
  ArrowRight: (step) => view.split + step, ArrowUp: (step) => view.split + step, End: () => 1,
};
stage.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const moved = event.target === handle && HANDLE_KEYS[event.key];
  if (moved) update({ split: moved(event.shiftKey ? 0.1 : 0.02) });
  else if (KEYS[event.key] && (view.zoom > 1 || !event.key.startsWith("Arrow"))) KEYS[event.key]();
  else return;
  event.preventDefault();
});
addEventListener("keydown", (event) => event.key === "Escape" && update({ full: 0 }));

function connect() {
  $("exposure").addEventListener("input", (event) => update({ exposure: event.target.value }));
  $("tile").addEventListener("input", (event) => update({ tile: event.target.value }));
  const clicks = {
    tone: () => update({ tone: 1 - view.tone }),
    neutral: () => update({ exposure: 0 }),
    highlights: () => update({ exposure: -Math.ceil(4 * data.peak) / 4 }),
    "zoom-in": () => zoomAt(1.5),
    "zoom-out": () => zoomAt(1 / 1.5),
    fit: () => update({ zoom: 1 }),
    full: () => update({ full: 1 - view.full }),
    grid: () => update({ grid: 1 - view.grid }),
  };
  for (const [id, act] of Object.entries(clicks)) $(id).addEventListener("click", act);
  for (const button of document.querySelectorAll("[data-detail]")) {
    button.addEventListener("click", () => {
      const [x, y, width, height] = data.details[button.dataset.detail];
      update({ zoom: 0.8 / Math.max(width, height), x: x + width / 2, y: y + height / 2 });
      stage.scrollIntoView({ block: "center" });
      stage.focus({ preventScroll: true });
    });
  }
  addEventListener("hashchange", readAddress);
  new ResizeObserver(() => update({})).observe(stage);
  new ResizeObserver(drawHistogram).observe($("histogram"));
}

// ---- Histogram.

function drawHistogram() {
  const { first, last, before, after } = data.histogram, svg = $("histogram");
  const width = svg.clientWidth, base = svg.clientHeight - 24, inset = 14;
  const across = (stop) => inset + (stop - first) / (last - first) * (width - 2 * inset);
  const top = Math.sqrt(Math.max(...before, ...after)) || 1;
  const add = (name, attributes, text = "") => {
    const element = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    svg.append(element);
  };
  svg.replaceChildren();
  add("rect", { class: "over", x: across(0), y: 0, width: across(last) - across(0), height: base });
  const skip = width < 480 ? 2 : 1;
  for (let stop = first; stop <= last; stop++) {
    if (stop % skip) continue;
    add("line", { class: "axis", x1: across(stop), x2: across(stop), y1: stop ? base - 4 : 0, y2: base });
    add("text", { x: across(stop), y: base + 18 }, stop > 0 ? `+${stop}` : stop < 0 ? `−${-stop}` : "white");
  }
  for (const [name, shares] of [["before", before], ["after", after]]) {
    const bin = (last - first) / shares.length;
    const points = shares.map((share, i) => {
      const y = (base - Math.sqrt(share) / top * (base - 8)).toFixed(1);
      return `L${across(first + i * bin).toFixed(1)},${y}H${across(first + (i + 1) * bin).toFixed(1)}`;
    });
    add("path", { class: name, d: `M${across(first)},${base}${points.join("")}V${base}` });
  }
  const white = across(clamp(-view.exposure, first, last));
  add("line", { class: "axis", x1: 0, x2: width, y1: base, y2: base });
  add("line", { class: "white", x1: white, x2: white, y1: 0, y2: base });
}

// ---- Start.

async function start() {
  for (const picture of data.pictures) await unpack(picture);
  stage.style.aspectRatio = `${pictures.after.width} / ${pictures.after.height}`;
  $("tile-tools").hidden = $("tiles").hidden = !data.tiles.length;
  $("tile").max = data.tiles.length;
  $("details-card").hidden = !data.details.length;
  $("highlights").hidden = data.peak < 0.05;
  $("tone").hidden = $("hdr-hint").hidden = Math.max(data.peaks.before, data.peaks.after) < 0.05;
  connect();
  readAddress();
  $("status").textContent = "";
  document.documentElement.dataset.ready = "";
}
start().catch((error) => {
  $("status").textContent = `This browser cannot show the previews (${error.message}). The figures below hold.`;
});
