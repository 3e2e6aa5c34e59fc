// Calls of the console's API: JSON in and out, errors as the server's own sentence.
// @ts-check

/** An answer that is an error; `input` is the input or setting that is wrong, if one is. Status 0: there was no answer. */
export class ApiError extends Error {
  /** @param {string} message @param {number} status @param {string} [input] */
  constructor(message, status, input = "") {
    super(message);
    this.status = status;
    this.input = input;
  }
}

export const NO_ANSWER = "The console does not answer: is `luxscaler server` still running?";

/** The error that an answer's text tells; a proxy in between may tell it in no JSON. @param {number} status @param {string} text */
export function told(status, text) {
  try {
    const { detail, input, field } = JSON.parse(text);
    const words = typeof detail === "string" && detail.replace(/^(inputs|source): /, ""); // members of a request's body
    if (words) return new ApiError(words, status, input ?? field);
  } catch {
    // Said below.
  }
  return new ApiError(`The console, or a proxy before it, answers with HTTP ${status}`, status);
}

/** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<Response>} */
async function request(method, path, body) {
  /** @type {RequestInit} */
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options).catch(() => null);
  if (!answer) throw new ApiError(NO_ANSWER, 0);
  if (!answer.ok) throw told(answer.status, await answer.text().catch(() => ""));
  return answer;
}

/** @template T @param {Promise<T>} body of an answer that has begun; it may break off */
const whole = (body) => body.catch(() => {
  throw new ApiError(NO_ANSWER, 0);
});

/**
 * The JSON (or text) of an answer. Raises ApiError.
 * @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>}
 */
export async function call(method, path, body) {
  const answer = await request(method, path, body);
  const text = await whole(answer.text());
  const isJson = (answer.headers.get("content-type") || "").includes("json");
  return isJson && text ? JSON.parse(text) : text;
}

/** The bytes of an answer; with a body it is a POST. Raises ApiError. @param {string} path @param {unknown} [body] */
export async function bytes(path, body) {
  return whole((await request(body === undefined ? "GET" : "POST", path, body)).arrayBuffer());
}

/** A new key of a submit. crypto.randomUUID is not there on pages that come by http from another machine. */
export function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return [...random].map((each) => each.toString(16).padStart(2, "0")).join("");
}

/** @param {string} path */
export const get = (path) => call("GET", path);
/** @param {string} path @param {unknown} [body] */
export const post = (path, body) => call("POST", path, body);
/** @param {string} path @param {unknown} body */
export const put = (path, body) => call("PUT", path, body);
/** @param {string} path */
export const remove = (path) => call("DELETE", path);

export const REPLICATE = "/api/cloud/providers/replicate";
