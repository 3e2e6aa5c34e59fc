// What can be chosen for a master: fields that are built from the server's list, the same in every form.
// @ts-check
import { get } from "./api.js";
import { $, element, notice } from "./dom.js";
import { makeField, valueOf } from "./fields.js";

/** @typedef {import("./fields.js").Input} Input */
/** @typedef {{name: string, title: string, help: string}} Group */

const TRAINED = "job:";
/** @type {Promise<any> | null} */
let asked = null;
/** @type {{inputs: Input[], groups: Group[], boosted: string[], profiles: Record<string, string[]>}} */
let offered = { inputs: [], groups: [], boosted: [], profiles: {} };

/** Build the fields of a form, once. @param {string} form @param {string} format chosen at first */
export async function fillOptions(form, format) {
  asked ??= get("/api/upscale/options");
  offered = await asked.catch((error) => {
    asked = null;
    throw error;
  });
  const place = $(`${form}-inputs`);
  if (place.children.length) return;
  place.append(common(form), more(form));
  const trained = document.createElement("optgroup");
  [trained.id, trained.label, trained.hidden] = [`${form}-trained`, "Trained", true];
  $(`${form}-model`).append(trained);
  for (const option of $(`${form}-model`).options) option.text = option.value; // the help has the words
  $(`${form}-output_format`).value = format;
  // Before the form's own listeners, which ask whether it is valid.
  for (const name of ["input", "change"]) $(`${form}-form`).addEventListener(name, () => checkTogether(form), { capture: true });
  checkTogether(form);
}

/** @param {string} form */
function common(form) {
  const box = element("div", "", "fields inputs");
  for (const input of offered.inputs.filter((each) => each.group === "main")) box.append(fieldOf(form, input));
  return box;
}

/** What few need, folded away. @param {string} form */
function more(form) {
  const box = document.createElement("details");
  const summary = element("summary");
  summary.id = `${form}-more-title`;
  box.append(summary);
  for (const { name, title, help } of offered.groups) {
    const part = document.createElement("fieldset");
    part.append(element("legend", title));
    if (help) {
      const words = element("p", help, "hint");
      words.id = `${form}-${name}-group-help`;
      part.setAttribute("aria-describedby", words.id);
      part.append(words);
    }
    const fields = element("div", "", "fields inputs");
    for (const input of offered.inputs.filter((each) => each.group === name)) fields.append(fieldOf(form, input));
    part.append(fields);
    box.append(part);
  }
  return box;
}

/** @param {string} form @param {Input} input */
function fieldOf(form, input) {
  const box = makeField(form, input);
  if (input.formats.length) box.dataset.formats = input.formats.join(" ");
  return box;
}

/** What one field means for others. @param {string} form */
function checkTogether(form) {
  const format = $(`${form}-output_format`).value;
  for (const each of document.querySelectorAll(`#${form}-form [data-formats]`)) {
    /** @type {HTMLElement} */ (each).hidden = !(each.getAttribute("data-formats") ?? "").split(" ").includes(format);
  }
  checkSizes(form);
  checkProfile(form, format);
  const boost = offered.inputs.find((each) => each.name === "hdr_boost");
  const isLost = Number($(`${form}-hdr_boost`).value) > 1 && !offered.boosted.includes(format);
  $(`${form}-hdr_boost-help`).textContent = isLost ? `${format} holds no light above white: the boost does nothing.` : boost?.help ?? "";
  const folded = offered.inputs.filter((each) => each.group !== "main" && valueOf(form, each) !== undefined).length;
  $(`${form}-more-title`).textContent = `More: size, colours, edges, layers${folded ? ` (${folded} set)` : ""}`;
}

/** @param {string} form */
function checkSizes(form) {
  const sizes = offered.inputs.filter((each) => each.group === "size");
  const given = sizes.filter(({ name }) => $(`${form}-${name}`).value !== "");
  for (const each of sizes) {
    const others = given.filter((other) => other !== each).map((other) => other.label.replace(/,.*/, ""));
    const clashes = given.includes(each) && others.length > 0;
    $(`${form}-${each.name}`).setCustomValidity(clashes ? `Give one size: ${others.join(" and ")} is given too.` : "");
  }
}

/** @param {string} form @param {string} format */
function checkProfile(form, format) {
  const field = $(`${form}-profile`);
  const allowed = offered.profiles[format];
  const names = [];
  for (const option of field.options) {
    option.disabled = !allowed.includes(option.value);
    if (!option.disabled) names.push(option.text);
  }
  field.setCustomValidity(allowed.includes(field.value) ? "" : `${format} takes ${names.join(", ")}.`);
}

/**
 * Choose a model of a form: what is not offered, since its training was deleted, is not replaced in silence.
 * @param {string} form @param {string} value
 */
export function chooseModel(form, value) {
  const field = $(`${form}-model`);
  field.value = value;
  if (field.value === value) return;
  field.selectedIndex = 0;
  notice(`The trained model that was chosen is gone; ${field.value} is chosen instead.`, true);
}

/** The inputs that a form asks for, those that are set, and the training whose model it names. @param {string} form */
export function masterInputs(form) {
  const pairs = offered.inputs.map((each) => [each.name, valueOf(form, each)]).filter(([, value]) => value !== undefined);
  const { model, ...inputs } = Object.fromEntries(pairs);
  if (model.startsWith(TRAINED)) return { inputs, trained_by: model.slice(TRAINED.length) };
  return { inputs: { ...inputs, model }, trained_by: "" };
}
