/**
 * Sends one tile to the upscaler, and takes its result.
 *
 *   POST /         {"tile_input": URL, "global_reference": URL?, "tile_box": "x,y,w,h"?}  →  202 {"id": ...}
 *   POST /webhook  Replicate's call when the tile is done; only with a valid signature
 *   GET  /ID       what is known about a tile
 *
 * Both but the webhook need `Authorization: Bearer ORCHESTRATOR_KEY`: a create costs money.
 * Cutting the master into tiles and joining the results is not done here.
 */

const TOLERANCE_SECONDS = 300;
const RECORD_SECONDS = 24 * 3600;
const HMAC = { name: "HMAC", hash: "SHA-256" };
const PENDING = "pending/";
const TERMINAL = ["succeeded", "failed", "canceled", "aborted"];

export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (request.method === "POST" && path === "/webhook") return takeResult(request, env);
    if (!(await sameText(request.headers.get("Authorization") ?? "", `Bearer ${env.ORCHESTRATOR_KEY}`))) {
      return reply(401, { error: "the key is missing or wrong" });
    }
    if (request.method === "POST" && path === "/") return sendTile(request, env);
    if (request.method === "GET" && path.length > 1) {
      return result(path.slice(1), env);
    }
    return reply(404, { error: "no such address" });
  },
};

/** One tile, one prediction. A create that fails is not repeated: it may have been taken all the same. */
async function sendTile(request, env) {
  const tile = await request.json().catch(() => null);
  if (typeof tile?.tile_input !== "string") return reply(422, { error: "tile_input must be a URL" });
  const input = { tile_input: tile.tile_input, output_format: "exr", hdr_boost: 1.5, fractality: 1.2 };
  for (const name of ["global_reference", "tile_box"]) {
    if (typeof tile[name] === "string") input[name] = tile[name];
  }
  const answer = await fetch(`${env.REPLICATE_BASE_URL}/v1/predictions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${env.REPLICATE_API_TOKEN}`, "Content-Type": "application/json" },
    body: JSON.stringify({
      version: env.MODEL_VERSION.replace(/^r8\.im\//, ""), // the API names models without the registry
      input,
      webhook: `${env.PUBLIC_URL}/webhook`,
      webhook_events_filter: ["completed"],
    }),
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    return reply(answer.status, { error: body.detail ?? "the create was refused", retry_after: body.retry_after });
  }
  // Under a key of its own, which the webhook never writes: the result may have come already.
  const record = JSON.stringify({ id: body.id, status: "pending" });
  await env.RESULTS.put(PENDING + body.id, record, { expirationTtl: RECORD_SECONDS });
  return reply(202, { id: body.id, status: body.status });
}

/** What is known about a tile: its result, or that it is pending; 404 for one that was never sent. */
async function result(id, env) {
  const record = (await env.RESULTS.get(id, "json")) ?? (await env.RESULTS.get(PENDING + id, "json"));
  return record ? reply(200, record) : reply(404, { error: "no such tile" });
}

/** Keeps a result. The same delivery may come twice, and late: a second one changes nothing. */
async function takeResult(request, env) {
  const raw = new Uint8Array(await request.arrayBuffer());
  if (!(await isSigned(request.headers, raw, env.WEBHOOK_SECRET))) return reply(401, { error: "not signed" });
  const prediction = JSON.parse(new TextDecoder().decode(raw));
  if (TERMINAL.includes(prediction.status) && !(await env.RESULTS.get(prediction.id))) {
    const { id, status, output, error, metrics } = prediction;
    // The output's address holds for an hour: a real orchestrator copies the file here, e.g. to R2.
    const record = JSON.stringify({ id, status, output, error, metrics });
    await env.RESULTS.put(id, record, { expirationTtl: RECORD_SECONDS });
  }
  return reply(200, {});
}

/** Standard Webhooks: HMAC-SHA256 over id.timestamp.body, base64, under one of the v1 signatures. */
async function isSigned(headers, raw, secret) {
  const header = (name) => headers.get(`webhook-${name}`) ?? "";
  const [id, timestamp, signatures] = [header("id"), header("timestamp"), header("signature")];
  if (!id || !/^\d+$/.test(timestamp)) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const bytes = bytesOf(secret.replace(/^whsec_/, ""));
  const key = await crypto.subtle.importKey("raw", bytes, HMAC, false, ["verify"]);
  const head = new TextEncoder().encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(head.length + raw.length);
  signed.set(head);
  signed.set(raw, head.length);
  for (const entry of signatures.split(" ")) {
    const [scheme, code] = entry.split(",");
    // subtle.verify compares in constant time.
    if (scheme === "v1" && code && (await crypto.subtle.verify("HMAC", key, bytesOf(code), signed))) return true;
  }
  return false;
}

/** Base64 → bytes; what is no base64 is no bytes. */
function bytesOf(text) {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/** Compares digests of a random key, so that the time tells nothing about the texts. */
async function sameText(left, right) {
  const key = await crypto.subtle.generateKey(HMAC, false, ["sign", "verify"]);
  const [first, second] = [left, right].map((text) => new TextEncoder().encode(text));
  return crypto.subtle.verify("HMAC", key, await crypto.subtle.sign("HMAC", key, first), second);
}

function reply(status, body) {
  return Response.json(body, { status });
}
