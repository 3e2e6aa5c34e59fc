// What the forms of new jobs share: where it is computed, hardware and minutes, the estimate, the submit.
// @ts-check
import { get, newKey, post, REPLICATE } from "./api.js";
import { mayUpload } from "./cloud.js";
import { $, dollars, duration, notice, onClick, onSubmit, state } from "./dom.js";
import { checkForm, complain, startChecks } from "./fields.js";

/** @param {string} form @returns {"replicate" | "here"} */
export function placeOf(form) {
  const found = /** @type {HTMLInputElement} */ (document.querySelector(`input[name="${form}-place"]:checked`));
  return /** @type {"replicate" | "here"} */ (found.value);
}

/**
 * The members of a request that every form has; ids of its fields begin with the form's name.
 * @param {string} form
 */
export function common(form) {
  const place = placeOf(form);
  const minutes = $(`${form}-minutes`).value;
  return {
    place, source: $(`${form}-source`).value.trim(), name: $(`${form}-name`).value.trim(),
    hardware: place === "replicate" ? $(`${form}-hardware`).value : "", max_minutes: minutes ? Number(minutes) : null,
  };
}

/** @param {string} form */
export async function showHardwareOf(form) {
  const field = $(`${form}-hardware`);
  const chosen = field.value;
  const table = await get(`${REPLICATE}/hardware`);
  const options = table.hardware.map((/** @type {any} */ each) =>
    new Option(`${each.name}, ${dollars(each.cost_per_hour)} an hour`, each.sku));
  field.replaceChildren(...options);
  field.value = chosen || table.default_hardware;
}

/** @param {any} found @param {boolean} free */
function words(found, free) {
  const range = found.estimated_cost_usd === null
    ? "no estimate"
    : `about ${dollars(found.estimated_cost_usd)} (${dollars(found.low_usd)} to ${dollars(found.high_usd)}), ${duration(found.avg_duration_seconds)}`;
  if (free) {
    const time = found.avg_duration_seconds === null ? "no estimate of the time" : `about ${duration(found.avg_duration_seconds)}`;
    return `Free: ${time}. Basis: ${found.basis}.`;
  }
  return `${range}; at most ${dollars(found.at_most_usd)}. ${found.data_size_mb} MB to upload. Basis: ${found.basis}.`;
}

/**
 * Wire a form up: `request` gives its body.
 * @param {string} form @param {() => Record<string, unknown>} request
 */
export function startForm(form, request) {
  let key = newKey();
  const showFields = () => {
    const place = placeOf(form);
    for (const each of document.querySelectorAll(`#${form}-form [data-place]`)) {
      /** @type {HTMLElement} */ (each).hidden = each.getAttribute("data-place") !== place;
    }
  };
  // While somebody types too: at the end of it alone, the buttons would move between press and release of a click.
  for (const name of ["input", "change"]) {
    $(`${form}-form`).addEventListener(name, () => {
      key = newKey();
      state(`${form}-estimate`, "No estimate yet.");
      showFields();
    });
  }
  /** Ask the server, unless something is wrong; what the server refuses is said beside the field. @param {string} path @param {any} body */
  const ask = (path, body) => post(path, body).catch((error) => {
    complain(form, error);
    throw error;
  });
  startChecks(form);
  onClick(`${form}-ask-estimate`, async () => {
    if (!checkForm(form)) return;
    const body = request();
    state(`${form}-estimate`, words(await ask("/api/cloud/estimate", body), body.place === "here"));
  });
  onSubmit(`${form}-form`, async () => {
    if (!checkForm(form)) return;
    const body = request();
    if (body.place === "replicate" && !mayUpload()) return;
    const done = await ask("/api/cloud/jobs/submit", { ...body, idempotency_key: key });
    key = newKey();
    notice(done.cost_limit_warning || "Submitted.", Boolean(done.cost_limit_warning));
    location.hash = `jobs/${done.job_id}`;
  });
  showFields();
}
