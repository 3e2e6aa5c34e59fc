// The form of a new job: its fields by kind, the estimate, the submit.
// @ts-check
import { post } from "./api.js";
import { $, dollars, duration, notice, onClick, onSubmit, state } from "./dom.js";

const NUMBERS = ["hdr_boost", "fractality", "scale"];
let key = crypto.randomUUID();

const kind = () => /** @type {HTMLInputElement} */ (document.querySelector('input[name="kind"]:checked')).value;

function inputs() {
  if (kind() === "training") {
    try {
      return JSON.parse($("training-inputs").value || "{}");
    } catch (error) {
      throw new Error(`Inputs of the trainer: ${/** @type {Error} */ (error).message}`);
    }
  }
  const numbers = NUMBERS.map((name) => [name, Number($(name).value)]);
  return { output_format: $("output_format").value, model: $("network").value, ...Object.fromEntries(numbers) };
}

function request() {
  const minutes = $("job-minutes").value;
  return {
    kind: kind(), source: $("source").value.trim(), name: $("job-name").value.trim(), inputs: inputs(),
    hardware: $("job-hardware").value, max_minutes: minutes ? Number(minutes) : null,
    destination: kind() === "training" ? $("destination").value.trim() : "",
  };
}

async function estimate() {
  const found = await post("/api/cloud/estimate", request());
  const size = `${found.data_size_mb} MB to upload`;
  const range = found.estimated_cost_usd === null
    ? "no estimate"
    : `about ${dollars(found.estimated_cost_usd)} (${dollars(found.low_usd)} to ${dollars(found.high_usd)}), ${duration(found.avg_duration_seconds)}`;
  state("estimate", `${range}; at most ${dollars(found.at_most_usd)}. ${size}. Basis: ${found.basis}.`);
}

function showFields() {
  const training = kind() === "training";
  for (const each of document.querySelectorAll("[data-kind]")) {
    /** @type {HTMLElement} */ (each).hidden = each.getAttribute("data-kind") !== kind();
  }
  $("source-label").textContent = training ? "Path of the folder on this machine" : "Path of the picture on this machine";
}

export function startNewJob() {
  $("job-form").addEventListener("change", () => {
    key = crypto.randomUUID();
    state("estimate", "No estimate yet.");
    showFields();
  });
  onClick("ask-estimate", estimate);
  onSubmit("job-form", async () => {
    const done = await post("/api/cloud/jobs/submit", { ...request(), idempotency_key: key });
    key = crypto.randomUUID();
    notice(done.cost_limit_warning || "Submitted.", Boolean(done.cost_limit_warning));
    location.hash = `jobs/${done.job_id}`;
  });
}
