// The Cloud tab: token, limit, models, webhooks, network, status, hardware.
// @ts-check
import { get, post, put, remove, REPLICATE } from "./api.js";
import { $, dollars, element, notice, onClick, onSubmit, state } from "./dom.js";
import { checkForm, complain, startChecks } from "./fields.js";
import { keep, recall } from "./memory.js";

const FORMS = {
  "limit-form": ["cost_limit_enabled", "cost_limit_amount", "cost_limit_period", "cost_limit_action", "cost_limit_time_zone"],
  "model-form": ["model", "version_override", "training_model", "training_destination", "max_minutes"],
  "webhook-form": ["webhook_url", "webhook_require_signature", "webhook_allowed_ips", "trusted_proxies"],
  "delivery-form": ["deliver_hub", "deliver_hub_public", "deliver_s3", "deliver_s3_endpoint"],
  "network-form": ["proxy_url", "ssl_ca_bundle", "http_timeout"],
};
const SEEN = "luxscaler-data-flow-seen";
let tokenIsValid = false;
let limitIsSet = false;

/** @param {string} id */
function value(id) {
  const field = $(id);
  if (field.type === "checkbox") return field.checked;
  return field.type === "number" ? Number(field.value) : field.value.trim();
}

/** @param {any} settings */
function fill(settings) {
  for (const id of Object.values(FORMS).flat()) {
    const field = $(id);
    if (field.type === "checkbox") field.checked = settings[id];
    else if (id === "version_override") offer(field, settings[id]);
    else field.value = Array.isArray(settings[id]) ? settings[id].join(", ") : settings[id];
  }
}

/** @param {HTMLSelectElement} field @param {string} version */
function offer(field, version) {
  const known = [...field.options].map((option) => option.value);
  if (!known.includes(version)) field.add(new Option(`${version.slice(0, 12)}…`, version));
  field.value = version;
}

async function showCloud() {
  const { providers } = await get("/api/cloud/providers");
  fill(providers[0].settings);
  await Promise.all([showHardware(), showLimit(), providers[0].configured ? validate() : showNoToken()]);
}

async function showNoToken() {
  state("token-state", "REPLICATE_API_TOKEN not set", "bad");
  tokenIsValid = false;
  showSteps();
}

async function validate() {
  state("token-state", "Asking Replicate …");
  const found = await get(`${REPLICATE}/validate`).catch((error) => ({ valid: false, error: error.message }));
  tokenIsValid = found.valid;
  if (found.valid) {
    const { username, name, token_source } = found.user_info;
    state("token-state", `Valid: ${username}${name ? ` (${name})` : ""}, from the ${token_source}`, "good");
    await showVersions();
  } else {
    state("token-state", found.error, "bad");
  }
  showSteps();
}

async function showVersions() {
  const found = await get(`${REPLICATE}/versions`).catch(() => null);
  if (!found) return;
  const field = $("version_override");
  const chosen = field.value;
  field.replaceChildren(new Option("the newest", ""));
  for (const { id, created_at } of found.versions) field.add(new Option(`${id.slice(0, 12)}… of ${String(created_at).slice(0, 10)}`, id));
  offer(field, chosen);
}

async function showLimit() {
  const limit = await get("/api/cloud/cost-limit");
  limitIsSet = limit.enabled;
  const words = limit.enabled
    ? `${dollars(limit.current_spend)} of ${dollars(limit.limit_amount)} used (${limit.percent_used} %)`
    : "No limit: anything may be submitted";
  state("limit-state", words, limit.is_exceeded ? "bad" : "");
  showSteps();
}

function showSteps() {
  const seen = recall(SEEN) === "yes";
  $("flow-seen").checked = seen;
  const steps = [["A token that Replicate accepts", tokenIsValid], ["A spending limit", limitIsSet], ["Where your data goes: read and known", seen]];
  $("steps").replaceChildren(...steps.map(([text, done], index) => {
    const item = element("li", `${index + 1}. ${text}${done ? " – done" : ""}`, done ? "done" : "");
    return item;
  }));
}

async function showHardware() {
  const table = await get(`${REPLICATE}/hardware`);
  const rows = table.hardware.map((/** @type {any} */ each) => {
    const row = document.createElement("tr");
    row.append(element("th", each.sku === table.default_hardware ? `${each.name} (default)` : each.name),
      element("td", each.vram_gb ? `${each.vram_gb} GB` : "–"), element("td", each.good_for),
      element("td", each.cost_per_second.toFixed(6), "number"), element("td", each.cost_per_hour.toFixed(2), "number"));
    row.firstElementChild?.setAttribute("scope", "row");
    return row;
  });
  $("hardware-rows").replaceChildren(...rows);
}

async function showStatus() {
  state("provider-status", "Asking …");
  const found = await get(`${REPLICATE}/status`);
  const words = { true: "Operational", false: "Incidents are going on", null: `Unknown: ${found.error}` };
  state("provider-status", words[/** @type {"true"} */ (String(found.operational))], found.operational ? "good" : "bad");
  const names = [...found.ongoing_incidents, ...found.in_progress_maintenances].map((each) => each.name || "unnamed");
  $("incidents").replaceChildren(...names.map((name) => element("li", name)));
}

/** The newest, or those before a number below the ones that are shown. @param {number} [before] */
async function showDeliveries(before) {
  const query = new URLSearchParams({ limit: "20", ...(before ? { before: String(before) } : {}) });
  const { deliveries, total } = await get(`/api/webhooks/deliveries?${query}`);
  if (!before) $("delivery-list").replaceChildren();
  $("delivery-list").append(...deliveries.map((/** @type {any} */ each) => {
    const when = new Date(1000 * each.received_at).toLocaleString();
    const item = element("li", `${when}: ${each.verdict} (${each.status})`);
    item.dataset.delivery = each.id;
    return item;
  }));
  const shown = $("delivery-list").children.length;
  $("delivery-count").textContent = total ? `${shown} of ${total}, the newest first` : "Nothing has arrived yet.";
  $("more-deliveries").hidden = deliveries.length < 20;
}

function startCloud() {
  for (const [form, ids] of Object.entries(FORMS)) {
    const name = form.replace("-form", "");
    startChecks(name);
    onSubmit(form, async () => {
      if (!checkForm(name)) return;
      fill(await put(REPLICATE, Object.fromEntries(ids.map((id) => [id, value(id)]))).catch((error) => {
        complain(name, error);
        throw error;
      }));
      await showLimit();
      notice("Saved.");
    });
  }
  onSubmit("token-form", async () => {
    await put(`${REPLICATE}/token`, { api_token: $("token").value });
    $("token").value = "";
    notice("The token is saved.");
    await validate();
  });
  onClick("validate", validate);
  onClick("forget-token", async () => {
    await remove(`${REPLICATE}/token`);
    await showNoToken();
    notice("The token is forgotten.");
  });
  onClick("ask-status", showStatus);
  onClick("show-deliveries", () => showDeliveries());
  onClick("more-deliveries", () => {
    const last = /** @type {HTMLElement | null} */ ($("delivery-list").lastElementChild);
    return showDeliveries(Number(last?.dataset.delivery));
  });
  onClick("test-delivery", async () => {
    const { writable } = await post(`${REPLICATE}/delivery/test`);
    notice(`Files can be written to ${Object.values(writable).join(" and ")}.`);
  });
  onClick("test-webhook", async () => {
    const found = await post("/api/webhooks/test");
    notice(found.reachable ? "Reachable: a signed webhook arrived." : `Not reachable: ${found.detail}`, !found.reachable);
  });
  $("flow-seen").addEventListener("change", () => {
    const isKept = keep(SEEN, $("flow-seen").checked ? "yes" : "no");
    notice(isKept ? "" : "This browser keeps nothing for the page: it is known until this window is closed or loaded again.");
    showSteps();
  });
}

/** Whether the user knows where data goes; if not, this leads there. */
export function mayUpload() {
  if (recall(SEEN) === "yes") return true;
  location.hash = "cloud";
  notice("First read where your data goes, at the end of this tab, and tick that you know it; then submit again.", true);
  window.setTimeout(() => $("flow-seen").focus(), 300);
  return false;
}

/** @type {import("./main.js").Tab} */
export const cloud = { name: "cloud", title: "Cloud", start: startCloud, show: showCloud };
