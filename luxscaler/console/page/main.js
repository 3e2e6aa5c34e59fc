// The page: tabs by the address's hash, log-in, and one stream of events that keeps what is shown fresh.
// @ts-check
import { get, post, remove } from "./api.js";
import { showCloud, startCloud } from "./cloud.js";
import { $, busy, notice, onClick, onSubmit } from "./dom.js";
import { showJob, showJobs, startJobs } from "./jobs.js";
import { startNewJob } from "./new_job.js";
import { showSpending } from "./spending.js";

/** @type {Record<string, () => Promise<void>>} */
const TABS = { cloud: showCloud, jobs: showJobs, new: showCloud, spending: showSpending };
/** @type {EventSource | null} */
let stream = null;
let refresh = 0;

const place = () => {
  const [tab, id] = location.hash.slice(1).split("/");
  return { tab: tab in TABS ? tab : "cloud", id };
};

async function show() {
  const { tab, id } = place();
  for (const name of Object.keys(TABS)) {
    $(name).hidden = name !== tab;
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
  }
  await TABS[tab]();
  if (tab === "jobs" && id) await showJob(id);
  else if ($("job-dialog").open) $("job-dialog").close();
  document.documentElement.dataset.shown = tab;
}

/** Many changes at once are one look. */
function soon() {
  clearTimeout(refresh);
  refresh = window.setTimeout(() => {
    const { tab } = place();
    if (tab === "jobs" || tab === "spending") busy(null, TABS[tab]);
  }, 200);
}

function listen() {
  stream?.close();
  stream = new EventSource("/api/events");
  stream.addEventListener("job", soon);
}

async function begin() {
  const session = await get("/api/session");
  $("login").hidden = session.open;
  $("tabs").hidden = !session.open;
  $("log-out").hidden = !(session.needed && session.open);
  if (!session.open) {
    for (const name of Object.keys(TABS)) $(name).hidden = true;
    stream?.close();
    $("password").focus();
    return;
  }
  listen();
  await show();
}

for (const name of Object.keys(TABS)) {
  $(`tab-${name}`).addEventListener("click", () => {
    notice("");
    location.hash = name;
  });
}
$("tabs").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  const names = Object.keys(TABS);
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = names[(names.indexOf(place().tab) + step + names.length) % names.length];
  location.hash = next;
  $(`tab-${next}`).focus();
});
window.addEventListener("hashchange", () => busy(null, show));
document.addEventListener("logged-out", () => busy(null, begin));
onSubmit("login", async () => {
  await post("/api/session", { password: $("password").value });
  $("password").value = "";
  notice("");
  await begin();
});
onClick("log-out", async () => {
  await remove("/api/session");
  await begin();
});
startCloud();
startJobs();
startNewJob();
busy(null, begin);
