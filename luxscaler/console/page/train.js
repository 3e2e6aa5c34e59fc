// The Train tab: pictures, method, steps; on Replicate or on this machine.
// @ts-check
import { get, REPLICATE } from "./api.js";
import { $ } from "./dom.js";
import { common, placeOf, showHardwareOf, startForm } from "./job_form.js";

const TEXTS = ["base", "method", "goal", "degradation"];
const NUMBERS = ["rank", "steps", "learning_rate", "batch", "crop", "validate", "every", "patience", "seed"];
const SHARE_FOR_STEPS = 0.8;

function inputs() {
  const texts = TEXTS.map((name) => [name, $(`train-${name}`).value]);
  const numbers = NUMBERS.map((name) => [name, Number($(`train-${name}`).value)]);
  const found = Object.fromEntries([...texts, ...numbers]);
  if (placeOf("train") === "here") return found;
  const minutes = Number($("train-minutes").value);
  if (minutes) found.max_minutes = SHARE_FOR_STEPS * minutes;
  return { ...found, ...JSON.parse($("train-more").value.trim() || "{}") };
}

/** The other inputs are an object of JSON, or it is said beside the field what they are instead. */
function checkMore() {
  const text = $("train-more").value.trim() || "{}";
  let wrong = "";
  try {
    const found = JSON.parse(text);
    if (found === null || typeof found !== "object" || Array.isArray(found)) wrong = 'It must be names and values, such as {"steps": 500}.';
  } catch (error) {
    wrong = `This is not JSON: ${/** @type {Error} */ (error).message}.`;
  }
  $("train-more").setCustomValidity(wrong);
}

function request() {
  const destination = placeOf("train") === "replicate" ? $("train-destination").value.trim() : "";
  return { ...common("train"), kind: "training", inputs: inputs(), destination };
}

/** @type {import("./main.js").Tab} */
export const train = {
  name: "train", title: "Train",
  start: () => {
    $("train-form").addEventListener("input", checkMore, { capture: true }); // before it is asked what is wrong
    startForm("train", request);
  },
  show: async () => {
    const settings = await get(REPLICATE);
    $("train-destination").placeholder = settings.training_destination || "owner/name";
    if (!$("train-minutes").value) $("train-minutes").value = settings.max_minutes;
    await showHardwareOf("train");
  },
};
