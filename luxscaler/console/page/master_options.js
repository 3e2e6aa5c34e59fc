// What can be chosen for a master: the same in every form and at every place, as the server lists it.
// @ts-check
import { get } from "./api.js";
import { $ } from "./dom.js";

const LISTS = ["output_format", "exr_type", "exr_compression"];
const TRAINED = "job:";
const NUMBERS = ["scale", "hdr_boost", "fractality"];
/** @type {Promise<any> | null} */
let asked = null;
/** @type {string[]} */
let boosted = [];

/** Fill the lists of a form, once. @param {string} form @param {string} format chosen at first */
export async function fillOptions(form, format) {
  asked ??= get("/api/upscale/options");
  const found = await asked.catch((error) => {
    asked = null;
    throw error;
  });
  boosted = found.boosted;
  if ($(`${form}-output_format`).options.length) return;
  for (const name of LISTS) {
    for (const { value, words } of found[name]) $(`${form}-${name}`).add(new Option(words, value));
  }
  const models = found.model.map((/** @type {any} */ each) => new Option(each.value, each.value));
  $(`${form}-model-hint`).textContent = `${found.model.map((/** @type {any} */ each) => each.words).join(". ")}.`;
  $(`${form}-model`).prepend(...models);
  $(`${form}-model`).selectedIndex = 0;
  $(`${form}-output_format`).value = format;
  showFieldsOfFormat(form);
}

/** @param {string} form */
export function showFieldsOfFormat(form) {
  const format = $(`${form}-output_format`).value;
  for (const each of document.querySelectorAll(`#${form}-form [data-format]`)) {
    /** @type {HTMLElement} */ (each).hidden = each.getAttribute("data-format") !== format;
  }
}

/** Whether a format holds light above white. @param {string} format */
export const isBoosted = (format) => boosted.includes(format);

/** The inputs that a form asks for, and the training whose model it names. @param {string} form */
export function masterInputs(form) {
  const output_format = $(`${form}-output_format`).value;
  const exr = output_format === "exr"
    ? { exr_type: $(`${form}-exr_type`).value, exr_compression: $(`${form}-exr_compression`).value } : {};
  const numbers = NUMBERS.map((name) => [name, Number($(`${form}-${name}`).value)]);
  const inputs = { output_format, ...exr, ...Object.fromEntries(numbers) };
  const model = $(`${form}-model`).value;
  if (model.startsWith(TRAINED)) return { inputs, trained_by: model.slice(TRAINED.length) };
  return { inputs: { ...inputs, model }, trained_by: "" };
}
