// The page: tabs by the address's hash, log-in, and one stream of events that keeps what is shown fresh.
// @ts-check
import { get, NO_ANSWER, post, remove } from "./api.js";
import { cloud } from "./cloud.js";
import { $, busy, notice, onClick, onSubmit, startSingleClicks } from "./dom.js";
import { jobs } from "./jobs.js";
import { masters } from "./masters.js";
import { spending } from "./spending.js";
import { train } from "./train.js";
import { upscale } from "./upscale.js";

/**
 * A tab: its module, a line in TABS, and a `<section role="tabpanel">` of its name in index.html.
 * `start` is called once, `show` whenever it is opened, with what stands behind its name in the address (or
 * nothing); and, if it is `live`, whenever a job has changed. `hide` is called when another one is opened.
 * @typedef {{name: string, title: string, live?: boolean, start: () => void,
 *   show: (id?: string) => Promise<void>, hide?: () => void}} Tab
 */
const TABS = [cloud, upscale, jobs, train, masters, spending];
/** @type {EventSource | null} */
let stream = null;
let refresh = 0;
let isLost = false;
/** Whether what the console knows may be seen: nobody has to log in. */
let isOpen = false;
const AGAIN_MS = 1000;

const place = () => {
  const [name, id] = location.hash.slice(1).split("/");
  return { tab: TABS.find((each) => each.name === name) || cloud, id };
};

function addTab(/** @type {Tab} */ { name, title }) {
  const button = document.createElement("button");
  button.textContent = title;
  button.id = `tab-${name}`;
  for (const [key, value] of Object.entries({ role: "tab", "aria-controls": name, "aria-selected": "false" })) {
    button.setAttribute(key, value);
  }
  button.addEventListener("click", () => {
    notice("");
    location.hash = name;
    button.focus(); // an address that names a section takes the focus away
  });
  $("tabs").append(button);
  $(name).setAttribute("aria-labelledby", button.id);
}

async function show() {
  const { tab, id } = place();
  document.title = `${tab.title} · LuxScaler console`;
  for (const each of TABS) {
    $(each.name).hidden = each !== tab;
    $(`tab-${each.name}`).setAttribute("aria-selected", String(each === tab));
    $(`tab-${each.name}`).tabIndex = each === tab ? 0 : -1;
    if (each !== tab) each.hide?.();
  }
  await tab.show(id);
  document.documentElement.dataset.shown = tab.name;
}

/** Many changes at once are one look. */
function soon() {
  if (refresh) return;
  refresh = window.setTimeout(() => {
    refresh = 0;
    const { tab, id } = place();
    if (tab.live) busy(null, () => tab.show(id));
  }, 200);
}

function listen() {
  stream?.close();
  if (document.hidden) { // a browser has six connections for all its windows: those that nobody sees hold none
    stream = null;
    isLost = true;
    return;
  }
  stream = new EventSource("/api/events");
  for (const name of ["job", "gap"]) stream.addEventListener(name, soon);
  stream.addEventListener("error", lost);
  stream.addEventListener("open", found);
}

/** The browser tries again by itself, but not after an answer that is an error: a proxy's, or for want of a log-in. */
function lost() {
  isLost = true;
  notice(NO_ANSWER, true);
  if (stream?.readyState !== EventSource.CLOSED) return;
  window.setTimeout(() => get("/api/session").then(({ open }) => (open ? listen() : busy(null, begin)), lost), AGAIN_MS);
}

/** What is shown of jobs and pictures may be old; what somebody types into other tabs is left alone. */
function found() {
  if (!isLost) return;
  isLost = false;
  if ($("notice").textContent === NO_ANSWER) notice("");
  const { tab, id } = place();
  if (!tab.live) return;
  document.dispatchEvent(new Event("found-again"));
  busy(null, () => tab.show(id));
}

document.addEventListener("visibilitychange", () => {
  if ($("tabs").hidden) return; // not logged in
  if (!document.hidden && stream && stream.readyState !== EventSource.CLOSED) return;
  listen();
});

async function begin() {
  const session = await get("/api/session");
  $("starting").hidden = true;
  if (session.open && isOpen) return; // what was refused was Replicate's token
  const wasAsked = !$("login").hidden;
  $("login").hidden = session.open;
  $("tabs").hidden = !session.open;
  $("log-out").hidden = !(session.needed && session.open);
  if (!session.open) {
    document.title = "Log in · LuxScaler console";
    for (const { name, hide } of TABS) {
      $(name).hidden = true;
      hide?.(); // an open dialog would hold the log-in back
    }
    stream?.close();
    if (isOpen) notice("The session is over: log in again.", true);
    isOpen = false;
    $("password").focus();
    return;
  }
  isOpen = true;
  if (wasAsked) $("content").focus(); // the field that had it is gone
  listen();
  await show();
}

for (const tab of TABS) {
  addTab(tab);
  tab.start();
}
$("tabs").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
  const now = TABS.indexOf(place().tab);
  const to = { ArrowRight: now + 1, ArrowLeft: now - 1 + TABS.length, Home: 0, End: TABS.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const next = TABS[to % TABS.length];
  location.hash = next.name;
  $(`tab-${next.name}`).focus();
});
$("skip").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault(); // the address's hash is the tab's
  $("content").focus();
});
startSingleClicks();
window.addEventListener("hashchange", () => {
  if (isOpen) busy(null, show);
});
document.addEventListener("unauthorized", (event) => busy(null, async () => {
  await begin();
  if (isOpen) notice(/** @type {CustomEvent} */ (event).detail, true);
}));
onSubmit("login", async () => {
  const wrong = await post("/api/session", { password: $("password").value }).then(() => null, (error) => error);
  if (wrong) {
    notice(wrong.message, true);
    $("password").select();
    return;
  }
  $("password").value = "";
  notice("");
  await begin();
});
onClick("log-out", async () => {
  await remove("/api/session");
  isOpen = false;
  await begin();
});

/** A console that is being restarted answers soon. */
function start() {
  begin().then(() => {
    if ($("notice").textContent === NO_ANSWER) notice("");
  }, (error) => {
    notice(error.message, true);
    window.setTimeout(start, AGAIN_MS);
  });
}
start();
