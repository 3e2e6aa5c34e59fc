// Small helpers around the document: elements by id, text in, buttons that wait for their work.
// @ts-check
import { ApiError } from "./api.js";

/** @param {string} id @returns {any} */
export function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element ${id}`);
  return found;
}

/** @param {string} tag @param {string} [text] @param {string} [className] */
export function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** A name in a sentence: whatever direction it is written in, it does not turn the words around it. @param {string} name */
export const isolated = (name) => `\u2068${name}\u2069`;

/**
 * Make these the items of a list; those that stay are not touched, so that they keep focus and clicks.
 * @param {HTMLElement} list @param {HTMLElement[]} items
 */
export function arrange(list, items) {
  for (const each of [...list.children]) if (!items.includes(/** @type {HTMLElement} */ (each))) each.remove();
  /** @type {HTMLElement | null} */
  let next = null;
  for (const item of [...items].reverse()) {
    if (item.parentNode !== list || item.nextElementSibling !== next) list.insertBefore(item, next);
    next = item;
  }
}

/** @param {string} text @param {boolean} [bad] */
export function notice(text, bad = false) {
  // A dialog covers the page, so it says it too.
  for (const place of $("job-dialog").open ? [$("notice"), $("job-notice")] : [$("notice")]) {
    if (place.textContent !== text) place.textContent = text; // the same again is not said again
    place.classList.toggle("bad", bad);
  }
}

/** @param {string} id @param {string} text @param {"" | "good" | "bad"} [mood] */
export function state(id, text, mood = "") {
  const place = $(id);
  place.textContent = text;
  place.className = `state ${mood}`.trim();
}

/**
 * Whether an answer is 401: the session is over, or Replicate refuses its token; main.js finds out and says which.
 * @param {unknown} error
 */
export function unauthorized(error) {
  if (!(error instanceof ApiError) || error.status !== 401) return false;
  document.dispatchEvent(new CustomEvent("unauthorized", { detail: error.message }));
  return true;
}

/**
 * Do some work; its button rests meanwhile, and an error becomes the notice.
 * @param {HTMLButtonElement | null} button @param {() => Promise<unknown>} work
 */
export async function busy(button, work) {
  if (button) {
    button.disabled = true;
    notice(""); // what was said is of something before
  }
  try {
    await work();
  } catch (error) {
    if (!unauthorized(error)) notice(error instanceof Error ? error.message : String(error), true);
  } finally {
    if (button) button.disabled = false;
  }
}

/**
 * A double click is one click: the second would submit, and pay, again, or act on what has moved under the pointer.
 * Only where the first of them missed, because its button moved while it was pressed, the next one counts.
 */
export function startSingleClicks() {
  let met = false; // whether a click of this row of clicks met a button
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (event.detail > 1 && met) {
      if (!button) return;
      event.preventDefault();
      event.stopPropagation();
    } else {
      met = Boolean(button);
    }
  }, { capture: true });
}

/** @param {string} id @param {(button: HTMLButtonElement) => Promise<unknown>} work */
export function onClick(id, work) {
  const button = $(id);
  button.addEventListener("click", () => busy(button, () => work(button)));
}

/** @param {string} id @param {() => Promise<unknown>} work */
export function onSubmit(id, work) {
  $(id).addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    busy(/** @type {HTMLButtonElement | null} */ (event.submitter), work);
  });
}

/** @param {number | null | undefined} value */
export const dollars = (value) =>
  value === null || value === undefined ? "unknown" : `$${value.toFixed(value < 1 ? 4 : 2)}`;

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(bytes < 1e5 ? 1 : 0)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** @param {string | null} text */
export const moment = (text) => (text ? new Date(text).toLocaleString() : "");

/** @param {number | null} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.round(seconds);
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  return whole < 172800 ? `${(whole / 3600).toFixed(1)} h` : `${Math.round(whole / 86400)} days`;
}
