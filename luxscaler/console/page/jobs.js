// The Jobs tab: the list with its filters, and one job with its log in a dialog.
// @ts-check
import { get, post, remove } from "./api.js";
import { $, arrange, busy, dollars, duration, element, isolated, moment, notice, onClick, size } from "./dom.js";

const STATES = ["pending", "uploading", "queued", "running", "completed", "failed", "canceled"];
const OVER = ["completed", "failed", "canceled"];
const PAGE = 50, MOST = 500;
/** A click that opened the dialog may be the first of two: the second shall not cancel the job beneath it. */
const SETTLE_MS = 500;
let openedAt = 0;
let shownCount = PAGE;
/** @type {string | null} */
let openJob = null;
let log = "";
/** @type {Map<string, HTMLElement>} The rows that are shown: one that stays keeps its focus, and its click under way. */
const rows = new Map();
let asked = 0;

async function showJobs() {
  const number = (asked += 1);
  const query = new URLSearchParams({
    search: $("search").value, status: $("filter-status").value, kind: $("filter-kind").value, limit: String(shownCount),
  });
  const { jobs, total } = await get(`/api/cloud/jobs?${query}`);
  if (number !== asked) return; // other filters, or a newer look
  $("job-count").textContent = `${total} ${total === 1 ? "job" : "jobs"}`;
  $("more-jobs").hidden = jobs.length >= Math.min(total, MOST);
  if (total > MOST && jobs.length === MOST) $("job-count").textContent += `, the newest ${MOST} are shown: search for older ones`;
  const items = jobs.map(row);
  rows.clear();
  jobs.forEach((/** @type {any} */ job, /** @type {number} */ index) => rows.set(job.id, items[index]));
  arrange($("job-list"), items);
  if (!jobs.length) $("job-list").append(element("li", "No jobs here. Begin one under Upscale, Train or Masters.", "empty"));
  if (openJob) await showJob(openJob, true);
}

/** @param {any} job */
function progressOf(job) {
  if (job.status === "uploading" && job.upload_total) return job.upload_bytes / job.upload_total;
  return job.status === "running" && job.steps ? job.step / job.steps : null;
}

/** @param {any} job */
function newRow(job) {
  const item = $("job-row").content.cloneNode(true).firstElementChild;
  const button = item.querySelector("button");
  button.title = job.name;
  item.querySelector(".job-name").textContent = job.name;
  item.querySelector(".job-kind").textContent = job.place === "here" ? `${job.kind}, here` : job.kind;
  item.querySelector(".job-when").textContent = moment(job.created_at);
  button.addEventListener("click", () => {
    location.hash = `jobs/${job.id}`;
    history.replaceState({ fromList: true }, ""); // of the entry that the line above has made
  });
  return item;
}

/** @param {any} job */
function row(job) {
  const item = rows.get(job.id) ?? newRow(job);
  const badge = item.querySelector(".badge");
  badge.textContent = job.cancel_reason && !OVER.includes(job.status) ? "canceling" : job.status;
  badge.className = `badge ${job.status}`;
  item.querySelector(".job-cost").textContent = cost(job, "≤ ");
  const share = progressOf(job);
  const bar = item.querySelector("progress");
  bar.hidden = share === null;
  if (share !== null) bar.value = share;
  return item;
}

/** @param {string} id @param {boolean} [isNews] of a job that is open: where it was closed meanwhile it stays so */
async function showJob(id, isNews = false) {
  const [job, text] = await Promise.all([get(`/api/cloud/jobs/${id}`), get(`/api/cloud/jobs/${id}/logs`)]);
  if (location.hash !== `#jobs/${id}` || (isNews && !$("job-dialog").open)) return;
  openJob = id;
  $("job-title").textContent = job.name;
  const stage = job.stage ? `, ${job.stage}` : "";
  const eta = job.eta_seconds !== null ? `, about ${duration(job.eta_seconds)} left` : "";
  $("job-state").textContent = `${job.status}${stage}${eta}`;
  if ($("job-news").textContent !== job.status) $("job-news").textContent = job.status;
  const share = progressOf(job);
  $("job-progress").hidden = share === null;
  if (share !== null) $("job-progress").value = share;
  facts(job);
  files(job);
  model(job);
  deliveries(job);
  log = text;
  showLog();
  $("cancel-job").disabled = OVER.includes(job.status) || job.cancel_reason !== "";
  $("delete-job").disabled = !OVER.includes(job.status);
  $("download-log").href = `/api/cloud/jobs/${id}/logs`;
  $("download-log").download = `${id}.log`;
  if ($("job-dialog").open) return;
  $("job-notice").textContent = "";
  $("job-dialog").showModal();
  openedAt = performance.now();
}

/** @param {any} job */
function facts(job) {
  const entries = {
    Id: job.id, Kind: job.kind, Source: job.source, "On Replicate": job.remote_id, Hardware: job.hardware,
    Step: job.steps ? `${job.step} of ${job.steps}` : "", Created: moment(job.created_at), Started: moment(job.started_at),
    Ended: moment(job.finished_at), Computed: duration(job.predict_time),
    Cost: cost(job, "at most "), Version: job.trained_version, Message: job.error,
    Inputs: Object.keys(job.inputs).length ? JSON.stringify(job.inputs) : "",
  };
  const shown = Object.entries(entries).filter(([, value]) => value);
  $("job-facts").replaceChildren(...shown.flatMap(([name, value]) => [element("dt", name), element("dd", String(value))]));
}

/** @param {any} job */
function files(job) {
  const items = job.files.map((/** @type {any} */ file) => {
    const item = element("li");
    const link = document.createElement("a");
    const isMaster = job.kind === "master"; // its files get the name of the picture
    const path = isMaster ? `upscale/jobs/${job.id}/download` : `cloud/jobs/${job.id}/files`;
    link.href = `/api/${path}/${encodeURIComponent(file.name)}`;
    link.download = isMaster ? "" : file.name;
    link.textContent = file.name;
    item.append(link, ` ${size(file.size)}, SHA-256 ${file.sha256}`);
    if (isMaster && file.name === "report.html") {
      const compare = /** @type {HTMLAnchorElement} */ (element("a", "Compare"));
      [compare.href, compare.target, compare.rel] = [`/api/upscale/jobs/${job.id}/compare`, "_blank", "noopener"];
      compare.setAttribute("aria-label", "Compare, opens a new tab");
      item.append(", ", compare);
    }
    return item;
  });
  const none = { waiting: "Being downloaded.", lost: "Replicate has removed them." };
  const words = none[/** @type {"waiting"} */ (job.results)] || "None yet.";
  $("job-files").replaceChildren(...(items.length ? items : [element("li", words)]));
}

/** @param {any} job @param {string} most */
function cost(job, most) {
  if (job.place === "here") return "free";
  return job.cost === null ? most + dollars(job.reserved) : dollars(job.cost);
}

/** @param {any} job */
function model(job) {
  $("job-model").hidden = job.kind !== "training" || !job.files.length;
  $("job-command").textContent = job.model ? job.model.command : "";
  $("job-command").hidden = !job.model;
}

/** @param {any} job */
function deliveries(job) {
  const items = job.deliveries.map((/** @type {any} */ each) => {
    const words = { waiting: each.error ? "to be tried again" : "to be sent", done: "delivered", failed: "not delivered" };
    const item = element("li", `${each.place}: ${words[/** @type {"done"} */ (each.state)]}`);
    if (each.error) item.append(`: ${each.error}`);
    if (each.url.startsWith("https://")) {
      const link = document.createElement("a");
      link.href = each.url;
      link.textContent = each.url;
      item.append(", ", link);
    }
    return item;
  });
  $("job-deliveries").replaceChildren(...items);
  $("job-delivery").hidden = job.results !== "here";
}

/**
 * The address is the list's again, and the browser's way back does not lead into the job that was closed.
 * @param {HTMLElement} opener gets the focus
 */
function leave(opener) {
  opener.focus();
  if ($("jobs").hidden || !location.hash.startsWith("#jobs/")) return; // another tab, or nobody is logged in
  if (!history.state?.fromList) {
    history.replaceState(null, "", "#jobs");
    return;
  }
  // Once more when it is done: an address that names a section takes the focus away.
  window.addEventListener("hashchange", () => opener.focus(), { once: true });
  history.back();
}

function showLog() {
  const word = $("log-search").value.toLowerCase();
  const place = $("job-log");
  const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 4;
  const lines = log.split("\n").filter((line) => line.toLowerCase().includes(word));
  place.textContent = log ? lines.join("\n") : "Nothing printed yet.";
  if (atEnd) place.scrollTop = place.scrollHeight;
}

function startJobs() {
  for (const name of STATES) $("filter-status").add(new Option(name, name));
  $("filters").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  $("filters").addEventListener("input", () => busy(null, showJobs));
  $("log-search").addEventListener("input", showLog);
  onClick("more-jobs", async () => {
    shownCount = Math.min(shownCount + PAGE, MOST);
    await showJobs();
  });
  onClick("cancel-job", async () => {
    await post(`/api/cloud/jobs/${openJob}/cancel`);
    notice("The job is being canceled.");
    await showJobs();
  });
  onClick("use-model", async () => {
    await post(`/api/cloud/jobs/${openJob}/model`);
    location.hash = `masters/${openJob}`;
  });
  onClick("deliver-job", async () => {
    await post(`/api/cloud/jobs/${openJob}/deliver`);
    notice("The results are being delivered.");
    await showJobs();
  });
  onClick("delete-job", async () => {
    const words = `Delete ${isolated($("job-title").textContent)} with its results and log from the console's machine?`;
    if (!window.confirm(words)) return;
    await remove(`/api/cloud/jobs/${openJob}`);
    rows.delete(openJob ?? ""); // it is not to get the focus back
    $("job-dialog").close();
    notice("The job is deleted; what it cost still counts.");
    await showJobs();
  });
  $("close-job").addEventListener("click", () => $("job-dialog").close());
  $("job-dialog").addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.target !== $("cancel-job")) return; // the others do no harm, or ask first
    if (!event.detail || performance.now() - openedAt > SETTLE_MS) return; // 0: by the keyboard
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });
  $("job-dialog").addEventListener("close", () => {
    const opener = rows.get(openJob ?? "")?.querySelector("button") ?? $("search");
    openJob = null;
    leave(opener);
  });
}

/** @type {import("./main.js").Tab} */
export const jobs = {
  name: "jobs", title: "Jobs", live: true,
  start: startJobs,
  show: async (id) => {
    await showJobs();
    if (id && id !== openJob) await showJob(id);
    else if (!id && $("job-dialog").open) $("job-dialog").close();
  },
  hide: () => {
    if ($("job-dialog").open) $("job-dialog").close();
  },
};
