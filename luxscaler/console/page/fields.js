// Fields of forms: built from the server's description of an input, checked, with what is wrong beside each.
// @ts-check
import { ApiError } from "./api.js";
import { $, element, notice } from "./dom.js";

/**
 * An input as the server describes it (console/master_inputs.py).
 * @typedef {{name: string, kind: "choice" | "number" | "whole" | "text" | "flag", label: string, group: string,
 *   help: string, default: string | number | boolean | null, values: {value: string, words: string}[],
 *   low: number | null, above: number | null, high: number | null, formats: string[]}} Input
 * @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Field
 */

const UNSENT = "Nothing was sent.";

/**
 * A field with its label, help, and room for what is wrong. @param {string} form @param {Input} input
 */
export function makeField(form, input) {
  const id = `${form}-${input.name}`;
  const box = element("div");
  const label = /** @type {HTMLLabelElement} */ (element("label", input.label));
  label.htmlFor = id;
  const field = makeControl(input);
  field.id = id;
  if (input.kind === "flag") {
    label.className = "check";
    label.prepend(field);
    box.append(label);
  } else {
    box.append(label, field);
  }
  if (input.help) {
    const help = element("p", input.help, "hint");
    help.id = `${id}-help`;
    field.setAttribute("aria-describedby", help.id);
    box.append(help);
  }
  addRoom(field);
  return box;
}

/** @param {Input} input @returns {HTMLInputElement | HTMLSelectElement} */
function makeControl(input) {
  if (input.kind === "choice") {
    const list = document.createElement("select");
    for (const { value, words } of input.values) list.add(new Option(words, value));
    if (input.default !== null) list.value = String(input.default);
    return list;
  }
  const field = document.createElement("input");
  field.type = { flag: "checkbox", text: "text", number: "number", whole: "number" }[input.kind];
  if (input.kind === "text") {
    field.spellcheck = false;
    if (input.high !== null) field.maxLength = input.high;
  } else if (input.kind !== "flag") {
    field.step = input.kind === "whole" ? "1" : "any";
    if (input.low !== null) field.min = String(input.low);
    if (input.high !== null) field.max = String(input.high);
    if (input.above !== null) field.dataset.above = String(input.above);
    field.inputMode = input.kind === "whole" ? "numeric" : "decimal";
    field.required = input.default !== null;
    field.value = input.default === null ? "" : String(input.default);
  }
  return field;
}

/** What a field says, or nothing where it is as if it were not there. @param {string} form @param {Input} input */
export function valueOf(form, input) {
  const field = $(`${form}-${input.name}`);
  if (field.closest("[data-formats][hidden]")) return undefined;
  if (input.kind === "flag") return field.checked === input.default ? undefined : field.checked;
  const text = field.value.trim();
  if (text === "") return undefined;
  const value = input.kind === "number" || input.kind === "whole" ? Number(text) : text;
  return value === input.default ? undefined : value;
}

/** Let a form say itself what is wrong, instead of the browser. @param {string} form its name */
export function startChecks(form) {
  const whole = /** @type {HTMLFormElement} */ ($(`${form}-form`));
  whole.noValidate = true;
  for (const field of fieldsOf(form)) addRoom(field);
  for (const name of ["input", "change"]) {
    whole.addEventListener(name, () => fieldsOf(form).forEach((field) => {
      // What was never touched and is only missing is said when the form is sent.
      if (!field.validity.valueMissing || field.hasAttribute("aria-invalid")) show(field, problem(field));
    }));
    whole.addEventListener(name, () => {
      if ($("notice").textContent.startsWith(UNSENT) && isValid(form)) notice("");
    });
  }
}

/** Whether everything in a form is as it must be; nothing is said. @param {string} form */
export const isValid = (form) => fieldsOf(form).every((field) => !problem(field));

/** What is wrong with the first wrong field, by its name. @param {string} form */
export function firstProblem(form) {
  const field = fieldsOf(form).find((each) => problem(each));
  return field ? named(field) : "";
}

/** @param {Field} field */
const named = (field) => `${field.labels?.[0]?.textContent ?? ""}: ${problem(field)}`;

/** The same; what is wrong is said, and the first wrong field gets the focus. @param {string} form */
export function checkForm(form) {
  const wrong = fieldsOf(form).filter((field) => show(field, problem(field)));
  if (!wrong.length) return true;
  notice(`${UNSENT} ${named(wrong[0])}`, true);
  reach(wrong[0]);
  return false;
}

/**
 * Put an error of the server's beside the field that it names, if it names one.
 * @param {string} form @param {unknown} error @param {boolean} [isReached] whether the field gets the focus
 */
export function complain(form, error, isReached = true) {
  if (!(error instanceof ApiError) || !error.input) return;
  const { input, message } = error;
  const field = fieldsOf(form).find(({ id }) => id === `${form}-${input}` || id === input);
  if (!field) return;
  show(field, message.replace(`${input}: `, ""));
  if (isReached) reach(field);
}

/** @param {HTMLElement} field */
function reach(field) {
  const more = field.closest("details");
  if (more) more.open = true;
  field.focus();
}

/** @param {string} form @returns {Field[]} */
function fieldsOf(form) {
  const all = /** @type {Field[]} */ ([...$(`${form}-form`).elements]);
  return all.filter((each) => each.id && each.willValidate && !["button", "submit", "radio", "file"].includes(each.type));
}

/** What is wrong with a field, in words; empty: nothing. @param {Field} field */
function problem(field) {
  const state = field.validity;
  if (field.closest("[hidden]")) return "";
  if (state.customError) return field.validationMessage;
  if (state.badInput) return "This is no number.";
  if (state.valueMissing) return "This is needed.";
  if (state.typeMismatch) return "This is no address such as http://127.0.0.1:5000.";
  return field instanceof HTMLInputElement ? outOfRange(field) : "";
}

/** @param {HTMLInputElement} field */
function outOfRange(field) {
  const { min, max, step, dataset: { above } } = field;
  const tooLow = field.validity.rangeUnderflow || (above !== undefined && field.value !== "" && Number(field.value) <= Number(above));
  if (tooLow || field.validity.rangeOverflow) {
    const low = above !== undefined ? `above ${above}` : min && `at least ${group(min)}`;
    return `It must be ${[low, max && `at most ${group(max)}`].filter(Boolean).join(", ")}.`;
  }
  if (!field.validity.stepMismatch) return "";
  return step === "1" ? "It must be a whole number." : `It must be a multiple of ${step}.`;
}

/** @param {string} number */
const group = (number) => Number(number).toLocaleString("en", { maximumFractionDigits: 3 });

/** @param {Field} field @param {string} text */
function show(field, text) {
  const room = $(`${field.id}-error`);
  if (room.textContent !== text) room.textContent = text;
  if (text) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
  return text !== "";
}

/** @param {Field} field */
function addRoom(field) {
  const room = element("p", "", "error");
  room.id = `${field.id}-error`;
  room.setAttribute("aria-live", "polite");
  field.setAttribute("aria-describedby", [field.getAttribute("aria-describedby"), room.id].filter(Boolean).join(" "));
  (field.closest("label") ?? field).after(room);
}
