// The three ways to show a value: as text, as JSON, as hex.
//
// Each gives back the bytes that it was made from, or says why it cannot; JSON is shown as it was stored, because
// reading and writing it anew would change numbers that are too long for JavaScript.

import { decode, encode, fromBase64, toHex } from "./bytes.js";

/** The way that fits an entry best. */
export function fitting({ kind, bytes }) {
  const text = decode(bytes);
  if (text === null || text.includes("\0") || text.includes("\r")) {
    return "hex";
  }
  return kind === "JSON" ? "json" : "text";
}

/** Bytes in a format, and why they cannot be edited so, or null. */
export function shown(as, bytes) {
  if (as === "hex") {
    return { text: toHex(bytes), trouble: null };
  }
  const text = decode(bytes);
  if (text === null) {
    const readable = new TextDecoder().decode(bytes);
    return { text: readable, trouble: "It is no text (UTF-8): bytes that are none are shown as \ufffd. Edit it as hex." };
  }
  return { text, trouble: null };
}

/** Throws if a text is no JSON, saying where. */
export function checkJson(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`This is no JSON: ${error.message}. Correct it, or save it as text.`);
  }
}

/** The bytes of a string in a reply, which may be base64. */
export const bytesOfReply = (reply) =>
  reply?.base64 === undefined ? encode(String(reply ?? "")) : fromBase64(reply.base64);

/** JSON with a line for each member, every number and string as it is written. */
export function indent(text) {
  checkJson(text);
  const out = [];
  let depth = 0;
  const line = () => out.push("\n", "  ".repeat(depth));
  // Strings whole, the six signs, and what stands between them: numbers and words.
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g) ?? [];
  for (const [place, token] of tokens.entries()) {
    const isEmpty = (token === "{" && tokens[place + 1] === "}") || (token === "[" && tokens[place + 1] === "]");
    if ((token === "}" || token === "]") && tokens[place - 1] !== "{" && tokens[place - 1] !== "[") {
      depth -= 1;
      line();
    } else if (token === "}" || token === "]") {
      depth -= 1;
    }
    out.push(token === ":" ? ": " : token);
    if (token === "{" || token === "[") {
      depth += 1;
    }
    if (((token === "{" || token === "[") && !isEmpty) || token === ",") {
      line();
    }
  }
  return out.join("");
}
