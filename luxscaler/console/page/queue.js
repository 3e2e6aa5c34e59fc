// The queue of the Upscale tab: what is under way, in its order, then the newest results.
// @ts-check
import { get, post } from "./api.js";
import { $, arrange, busy, duration, element, isolated, notice, onClick, size } from "./dom.js";

const OVER = ["completed", "failed", "canceled"];
const SHOWN_OPEN = 10, OVER_STEP = 20;
const MOST = 500;
/** @type {Map<string, HTMLElement>} The rows that are shown: one that stays keeps its focus, and its click under way. */
const rows = new Map();
/** @type {Map<string, any[]>} The files of jobs that are completed. */
const results = new Map();
/** Jobs under way or waiting. */
let count = 0;
let shownOver = OVER_STEP;
let asked = 0;

/** @param {any} job */
function state(job) {
  if (job.error) return job.error;
  if (job.status !== "running") return job.place === "here" ? "" : "Replicate";
  const share = job.steps ? ` ${Math.round((100 * job.step) / job.steps)} %` : "";
  const left = job.eta_seconds === null ? "" : `, about ${duration(job.eta_seconds)} left`;
  return `${job.stage}${share}${left}${job.place === "here" ? "" : ", Replicate"}`.replace(/^, /, "");
}

/** @param {any} job */
function rowOf(job) {
  const known = rows.get(job.id);
  if (known) return known;
  const item = $("upscale-job").content.cloneNode(true).firstElementChild;
  item.querySelector(".job-name").textContent = job.name;
  item.querySelector(".job-name").title = job.name;
  item.querySelector("progress").setAttribute("aria-label", `Progress of ${job.name}`);
  const cancel = item.querySelector("button");
  cancel.setAttribute("aria-label", `Cancel ${job.name}`);
  cancel.addEventListener("click", () => busy(null, async () => {
    cancel.disabled = true;
    await post(`/api/cloud/jobs/${job.id}/cancel`).catch((error) => {
      cancel.disabled = false;
      throw error;
    });
    notice(`${isolated(job.name)} is being canceled.`);
    await showQueue();
  }));
  return item;
}

/** @param {any} job */
function filled(job) {
  const item = rowOf(job);
  const isOver = OVER.includes(job.status);
  const words = job.cancel_reason && !isOver ? "canceling" : job.status;
  const badge = item.querySelector(".badge");
  if (badge.textContent !== words) [badge.textContent, badge.className] = [words, `badge ${job.status}`];
  item.querySelector(".hint").textContent = state(job);
  const bar = item.querySelector("progress");
  bar.hidden = job.status !== "running";
  if (job.steps) bar.value = job.step / job.steps;
  else bar.removeAttribute("value");
  const cancel = item.querySelector("button");
  cancel.disabled = job.cancel_reason !== "";
  cancel.hidden = isOver;
  const room = item.querySelector(".row");
  if (!room.querySelector("a")) room.append(...links(job));
  return item;
}

/** @param {any} job */
async function ask(job) {
  if (job.status !== "completed" || results.has(job.id)) return;
  const { files } = await get(`/api/cloud/jobs/${job.id}`);
  if (files.length) results.set(job.id, files);
}

/** @param {any} job */
function links(job) {
  return (results.get(job.id) ?? []).map((/** @type {any} */ file) => {
    const compares = file.name === "report.html";
    const words = compares ? "Compare" : `Download ${file.name.split(".").pop()}, ${size(file.size)}`;
    const link = /** @type {HTMLAnchorElement} */ (element("a", words, "button"));
    link.href = compares ? `/api/upscale/jobs/${job.id}/compare` : `/api/upscale/jobs/${job.id}/download/${encodeURIComponent(file.name)}`;
    if (compares) [link.target, link.rel] = ["_blank", "noopener"];
    else link.download = "";
    link.setAttribute("aria-label", `${words}: ${job.name}${compares ? ", opens a new tab" : ""}`);
    return link;
  });
}

export async function showQueue() {
  const number = (asked += 1);
  const [waiting, over] = await Promise.all([
    get(`/api/cloud/jobs?kind=master&status=open&limit=${MOST}`), get(`/api/cloud/jobs?kind=master&status=over&limit=${shownOver}`),
  ]);
  const next = waiting.jobs.reverse();
  const shown = [...next.slice(0, SHOWN_OPEN), ...over.jobs];
  await Promise.all(shown.map(ask));
  if (number !== asked) return; // a newer look is on its way
  const items = shown.map(filled);
  rows.clear();
  shown.forEach((job, index) => rows.set(job.id, items[index]));
  count = waiting.total;
  arrange($("upscale-queue"), items);
  $("upscale-queue-empty").hidden = items.length > 0;
  const hidden = waiting.total - Math.min(next.length, SHOWN_OPEN);
  const words = waiting.total ? `${waiting.total} under way or waiting${hidden ? `, the first ${SHOWN_OPEN} are shown` : ""}` : "Nothing is under way";
  if ($("upscale-queue-state").textContent !== words) $("upscale-queue-state").textContent = words;
  $("upscale-cancel-all").hidden = waiting.total < 2;
  $("upscale-more").hidden = over.jobs.length >= Math.min(over.total, MOST);
  $("upscale-more").textContent = `Show older: ${over.jobs.length} of ${over.total} are shown`;
}

export function startQueue() {
  onClick("upscale-more", async () => {
    shownOver = Math.min(shownOver + OVER_STEP, MOST);
    await showQueue();
  });
  onClick("upscale-cancel-all", async () => {
    const total = count;
    if (!window.confirm(`Cancel all ${total} jobs that are under way or waiting?`)) return;
    /** @type {Set<string>} */
    const asked = new Set();
    for (;;) { // the list holds the newest alone
      const { jobs } = await get(`/api/cloud/jobs?kind=master&status=open&limit=${MOST}`);
      const left = jobs.filter((/** @type {any} */ job) => !asked.has(job.id) && !job.cancel_reason);
      if (!left.length) break;
      // The last first: else the next one would begin while the one before it is canceled.
      for (const job of left) {
        await post(`/api/cloud/jobs/${job.id}/cancel`);
        asked.add(job.id);
        if (asked.size % 50 === 0) notice(`Canceling: ${asked.size} of ${total} …`);
      }
    }
    notice("All that was under way or waiting is being canceled.");
    await showQueue();
  });
}
