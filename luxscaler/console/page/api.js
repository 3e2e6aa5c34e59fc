// Calls of the console's own API, and the words of its errors.
// @ts-check

export class ApiError extends Error {
  /** @param {string} message @param {number} status @param {string} [input] the job's input that is wrong */
  constructor(message, status, input = "") {
    super(message);
    this.status = status;
    this.input = input;
  }
}

/**
 * The JSON of an answer. Raises ApiError with the server's own sentence.
 * @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>}
 */
export async function call(method, path, body) {
  /** @type {RequestInit} */
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new ApiError("The console does not answer: is `luxscaler server` still running?", 0);
  }
  const text = await answer.text();
  const isJson = (answer.headers.get("content-type") || "").includes("json");
  const value = isJson && text ? JSON.parse(text) : text;
  if (!answer.ok) throw new ApiError(isJson && value.detail ? value.detail : `HTTP ${answer.status}`, answer.status, isJson ? value.input : "");
  return value;
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
