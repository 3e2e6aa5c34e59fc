// The Masters tab: one picture, upscaled on Replicate or on this machine, with a trained model too.
// @ts-check
import { get, REPLICATE } from "./api.js";
import { $ } from "./dom.js";
import { common, placeOf, showHardwareOf, startForm } from "./job_form.js";
import { chooseModel, fillOptions, masterInputs } from "./master_options.js";

const TRAINED = "job:";

function request() {
  const { inputs, trained_by } = masterInputs("master");
  const address = placeOf("master") === "here" ? $("master-cog").value.trim() : "";
  return { ...common("master"), kind: "master", trained_by, inputs: address ? { ...inputs, cog: address } : inputs };
}

/** The trained models beside the container's own. @param {string} [chosen] */
async function showModels(chosen) {
  const { models } = await get("/api/cloud/models");
  const group = $("master-trained");
  const before = $("master-model").value;
  group.replaceChildren(...models.map((/** @type {any} */ model) => {
    const where = model.version ? "Replicate or here" : "here";
    return new Option(`${model.name} (${where})`, TRAINED + model.job_id);
  }));
  group.hidden = models.length === 0;
  chooseModel("master", chosen ? TRAINED + chosen : before);
  const wanted = models.find((/** @type {any} */ model) => model.job_id === chosen);
  if (wanted && !wanted.version && placeOf("master") === "replicate") $("master-place-here").click();
}

/** @type {import("./main.js").Tab} */
export const masters = {
  name: "masters", title: "Masters",
  start: () => startForm("master", request),
  show: async (id) => {
    await fillOptions("master", "exr");
    if (!$("master-minutes").value) $("master-minutes").value = (await get(REPLICATE)).max_minutes;
    await Promise.all([showHardwareOf("master"), showModels(id)]);
  },
};
