// An entry as it is stored: read, with all that the console tells of it.
//
// The version comes with the value, in one answer; when it expires is asked behind that. If somebody changed the entry in
// between, the version is the old one, and nothing can be saved before the new one was looked at.

import { command, entryPath, request } from "./api.js";
import { bytesOfReply } from "./format.js";

/** From here on a value is shown in part. */
export const LARGE = 1024 * 1024;
/** Bytes of a large value that are shown. */
const BEGINNING = 16 * 1024;

/** Reads an entry: key, tag, version, bytes, kind, size, expiresAt, isWhole. Null if there is none. */
export async function read(key) {
  if (key.path === null) {
    // No address names it; a command does.
    return await readBeginning(key, null, "bytes", await length(key));
  }
  let response;
  try {
    response = await request("GET", entryPath(key));
  } catch (error) {
    if (error.status === 404) {
      return null;
    }
    throw error;
  }
  const tag = response.headers.get("ETag");
  const kind = response.headers.get("Content-Type") === "application/json" ? "JSON" : "bytes";
  const size = await sizeOf(key, response);
  if (size > LARGE) {
    await response.body.cancel();
    return await readBeginning(key, tag, kind, size);
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { ...(await withExpiry(key, tag)), bytes, kind, size: bytes.length, isWhole: true };
}

/** The bytes of the value in an answer. The length of one that is sent compressed says nothing of that. */
async function sizeOf(key, response) {
  const isCoded = response.headers.has("Content-Encoding");
  return isCoded ? await length(key) : Number(response.headers.get("Content-Length"));
}

async function length(key) {
  return await command(["STRLEN", key.bytes]);
}

async function readBeginning(key, tag, kind, size) {
  const reply = await command(["GETRANGE", key.bytes, 0, BEGINNING - 1]);
  const bytes = bytesOfReply(reply);
  return { ...(await withExpiry(key, tag)), bytes, kind, size, isWhole: false };
}

/** When it goes, by this page's own clock; the headers of an answer say that in whole seconds only. */
async function withExpiry(key, tag) {
  const left = await command(["PTTL", key.bytes]);
  // The store, the version, and the coding that the value was sent in, if any.
  const [, version] = tag === null ? ["", ""] : tag.replaceAll('"', "").split("-");
  return { key, tag, version, expiresAt: left < 0 ? null : performance.now() + left };
}
