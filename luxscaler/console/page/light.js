// Pictures in linear light, as routes/upscale.py sends them: unpacked, and drawn at an exposure.
// @ts-check

/** @typedef {{width: number, height: number, light: Float32Array}} LightPicture */

/** All half floats as numbers, made once. @type {Float32Array | null} */
let halves = null;

function halfTable() {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let code = 0; code < 65536; code += 1) {
    const exponent = (code >> 10) & 31;
    const mantissa = code & 1023;
    const size = exponent ? (1 + mantissa / 1024) * 2 ** (exponent - 15) : (mantissa / 1024) * 2 ** -14;
    halves[code] = code & 32768 ? -size : size;
  }
  return halves;
}

/**
 * Numbers and pictures of an answer.
 * @param {ArrayBuffer} buffer @returns {{pictures: LightPicture[], figures: number[]}}
 */
export function unpack(buffer) {
  const view = new DataView(buffer);
  const [count, figureCount] = [view.getUint32(0, true), view.getUint32(4, true)];
  const figures = Array.from({ length: figureCount }, (_, index) => view.getFloat32(8 + 8 * count + 4 * index, true));
  let offset = 8 + 8 * count + 4 * figureCount;
  const table = halfTable();
  const pictures = Array.from({ length: count }, (_, index) => {
    const [width, height] = [view.getUint32(8 + 8 * index, true), view.getUint32(12 + 8 * index, true)];
    const light = new Float32Array(3 * width * height);
    for (let place = 0; place < light.length; place += 1) light[place] = table[view.getUint16(offset + 2 * place, true)];
    offset += 2 * light.length;
    return { width, height, light };
  });
  return { pictures, figures };
}

/** sRGB codes of linear light from 0 to 1. */
const CODES = Uint8ClampedArray.from({ length: 4096 }, (_, index) => {
  const value = index / 4095;
  return Math.round(255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055));
});

/** The last look at each picture: a border that is moved changes none. @type {WeakMap<LightPicture, {stops: number, canvas: HTMLCanvasElement}>} */
const developed = new WeakMap();

/**
 * A picture as it looks at an exposure: what is brighter than white is white.
 * @param {LightPicture} picture @param {number} stops @returns {HTMLCanvasElement}
 */
export function develop(picture, stops) {
  const known = developed.get(picture);
  if (known?.stops === stops) return known.canvas;
  const canvas = drawn(picture, stops);
  developed.set(picture, { stops, canvas });
  return canvas;
}

/** @param {LightPicture} picture @param {number} stops */
function drawn({ width, height, light }, stops) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  const factor = 4095 * 2 ** stops;
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const place = Math.min(Math.max(light[3 * pixel + channel] * factor, 0), 4095);
      image.data[4 * pixel + channel] = CODES[Math.round(place)];
    }
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}
