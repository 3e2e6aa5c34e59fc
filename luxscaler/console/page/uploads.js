// Uploads of the Upscale tab: one file after the other, with the bytes that have gone, and a way to stop.
// @ts-check
import { ApiError, get, NO_ANSWER, told } from "./api.js";
import { $, busy, isolated, notice, size, state, unauthorized } from "./dom.js";

const LOGIN = 401, TOO_LARGE = 413, FULL = 507;
const AGAIN_MS = 1000, TRIES = 3;
/** @type {File[]} */
let waiting = [];
/** What has become of the files since nothing was under way. @type {{given: number, taken: number, refused: string[]} | null} */
let round = null;
/** @type {XMLHttpRequest | null} */
let current = null;
let isStopped = false;

/** @param {File} file @returns {Promise<any>} the picture as the console keeps it */
function send(file) {
  const bar = $("upscale-upload-bar");
  const call = (current = new XMLHttpRequest()); // fetch does not say how much has gone
  return new Promise((resolve, reject) => {
    call.upload.addEventListener("progress", (event) => {
      bar.value = event.total ? event.loaded / event.total : 0;
    });
    call.addEventListener("load", () => (call.status === 201 ? resolve(JSON.parse(call.responseText)) : reject(told(call.status, call.responseText))));
    call.addEventListener("error", () => reject(new ApiError(NO_ANSWER, 0)));
    call.addEventListener("abort", () => reject(new ApiError("stopped", 0)));
    call.open("POST", `/api/upscale/pictures?name=${encodeURIComponent(file.name)}`);
    call.send(file);
  });
}

/** What a failed upload means: whether the next file can be tried, and what is said. @param {File} file @param {any} error */
function judged(file, error) {
  if (!error.status) return { mayGoOn: true, words: `${file.name}: it cannot be read, is too large, or the upload broke off` };
  if (unauthorized(error)) return { mayGoOn: false, words: `${file.name}: the session was over` };
  const isThisOne = error.status === TOO_LARGE && !error.message.includes("remove some"); // else all of them together
  const most = /larger than (\d+) bytes/.exec(error.message)?.[1];
  const why = isThisOne ? `it has ${size(file.size)}${most ? `; a picture may have ${size(Number(most))}` : ", which is too much for one picture"}` : error.message;
  return { mayGoOn: isThisOne || ![TOO_LARGE, FULL].includes(error.status), words: why.startsWith(file.name) ? why : `${file.name}: ${why}` };
}

const isThere = () => get("/api/health/live").then(() => true, () => false);

/** Send a file; while the console does not answer it is waited for, until somebody stops it. @param {File} file @param {string} words */
async function sendSurely(file, words) {
  for (let tries = 1; ; tries += 1) {
    $("upscale-upload-bar").value = 0;
    state("upscale-upload-state", words);
    try {
      return await send(file);
    } catch (error) {
      if (isStopped || (error instanceof ApiError && error.status) || tries === TRIES || (await isThere())) throw error;
    }
    state("upscale-upload-state", `${NO_ANSWER} The upload goes on when it does.`, "bad");
    while (!isStopped && !(await isThere())) await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
    if (isStopped) throw new ApiError("stopped", 0);
  }
}

/**
 * Upload files; those that come while others are under way wait behind them.
 * @param {File[]} files @param {(picture: any) => void} onTaken @returns {Promise<boolean>} whether this call has done the work
 */
export async function upload(files, onTaken) {
  waiting.push(...files);
  if (round) round.given += files.length;
  if (round || !files.length) return false;
  round = { given: files.length, taken: 0, refused: [] };
  isStopped = false;
  $("upscale-upload").hidden = false;
  for (let file = waiting.shift(); file; file = waiting.shift()) {
    try {
      onTaken(await sendSurely(file, `Uploading ${round.given - waiting.length} of ${round.given}: ${isolated(file.name)}`));
      round.taken += 1;
    } catch (error) {
      if (isStopped) break;
      const { mayGoOn, words } = judged(file, error);
      round.refused.push(words);
      if (mayGoOn) continue;
      if (waiting.length) round.refused.push(`${waiting.length} more: not tried`);
      break;
    }
  }
  finish(round);
  [round, current, waiting] = [null, null, []];
  return true;
}

/** @param {{given: number, taken: number, refused: string[]}} done */
function finish({ given, taken, refused }) {
  $("upscale-upload").hidden = true;
  const isWhole = taken === given;
  state("upscale-upload-state", `${taken} of ${given} uploaded.${isStopped ? " The rest was stopped." : ""}`, isWhole ? "good" : "bad");
  $("upscale-refused").replaceChildren(...refused.map((words) => {
    const item = document.createElement("li");
    item.textContent = words;
    return item;
  }));
}

/** @param {(files: File[]) => Promise<void>} take what is done with files that are dropped or chosen */
export function startUploads(take) {
  startDrop(take);
  $("upscale-files").addEventListener("change", () => busy(null, async () => {
    const files = [...$("upscale-files").files];
    $("upscale-files").value = ""; // so that the same ones can be chosen again
    await take(files);
  }));
  $("upscale-stop").addEventListener("click", () => {
    isStopped = true;
    current?.abort();
    $("upscale-files").focus();
  });
  window.addEventListener("beforeunload", (event) => {
    if (round) event.preventDefault(); // the browser asks whether to leave
  });
}

/** Anywhere in the tab, not in its field alone. @param {(files: File[]) => Promise<void>} take */
function startDrop(take) {
  for (const [name, over] of /** @type {[string, boolean][]} */ ([["dragover", true], ["dragleave", false], ["drop", false]])) {
    document.addEventListener(name, (event) => {
      const { dataTransfer: dropped } = /** @type {DragEvent} */ (event);
      if (!dropped?.types.includes("Files")) return; // text, into a field
      event.preventDefault(); // in other tabs too: else the browser would leave this page for the picture
      if ($("upscale").hidden) {
        if (name === "drop") notice("Nothing was taken: pictures are dropped in the tab Upscale.", true);
        return;
      }
      $("upscale-drop").classList.toggle("over", over);
      if (name === "drop") busy(null, async () => take(await filesOf(dropped)));
    });
  }
}

/** The files that were dropped, those in folders too, without hidden ones. @param {DataTransfer} dropped @returns {Promise<File[]>} */
async function filesOf(dropped) {
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry()); // at once: later they are gone
  if (!entries.some((entry) => entry?.isDirectory)) return [...dropped.files];
  return (await Promise.all(entries.map((entry) => (entry ? filesIn(entry) : [])))).flat();
}

/** @param {FileSystemEntry} entry @returns {Promise<File[]>} */
async function filesIn(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject))];
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const found = [];
  for (;;) { // a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...some);
  }
  found.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  return (await Promise.all(found.map(filesIn))).flat();
}
