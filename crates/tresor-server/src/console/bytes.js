// Keys and values are bytes: how they are shown, edited and sent without damage.
//
// The interface says a key that is no text as `base64:` and base64, in a path as percent-encoded bytes. Here a key is
// its bytes, and these two are made from them. Text is UTF-8 to the last byte, or it is no text.

const ENCODER = new TextEncoder();
const MARK = "base64:";

export const encode = (text) => ENCODER.encode(text);

/** Bytes as text; null if they are none. */
export function decode(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function toBase64(bytes) {
  let text = "";
  for (let from = 0; from < bytes.length; from += 8192) {
    text += String.fromCharCode(...bytes.subarray(from, from + 8192));
  }
  return btoa(text);
}

export const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

const hexByte = (byte) => byte.toString(16).padStart(2, "0");

/** Bytes as pairs of hexadecimal digits, 16 a line. */
export function toHex(bytes) {
  const lines = [];
  for (let from = 0; from < bytes.length; from += 16) {
    lines.push(Array.from(bytes.subarray(from, from + 16), hexByte).join(" "));
  }
  return lines.join("\n");
}

/** The bytes of hexadecimal digits, with blanks anywhere between them. */
export function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  const wrong = digits.match(/[^0-9a-f]/i);
  if (wrong) {
    throw new Error(`Hex has the digits 0 to 9 and a to f, not "${wrong[0]}".`);
  }
  if (digits.length % 2 === 1) {
    throw new Error("Hex has two digits for each byte: one is missing.");
  }
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function areEqual(one, other) {
  return one.length === other.length && one.every((byte, place) => byte === other[place]);
}

/** Bytes on one line: text where they are text, `\xff` where they are not. */
export function toLabel(bytes) {
  const visible = (text) =>
    text.replace(/[\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (letter) =>
      letter === "\\" ? "\\\\" : [...encode(letter)].map((byte) => `\\x${hexByte(byte)}`).join(""),
    );
  const text = decode(bytes);
  if (text !== null) {
    return visible(text);
  }
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? visible(String.fromCharCode(byte)) : `\\x${hexByte(byte)}`,
  ).join("");
}

/** A key. */
export class Key {
  constructor(bytes) {
    this.bytes = bytes;
  }

  /** The key that JSON says so. */
  static named(name) {
    return new Key(name.startsWith(MARK) ? fromBase64(name.slice(MARK.length)) : encode(name));
  }

  /** How JSON says it. */
  get name() {
    const text = decode(this.bytes);
    return text === null || text.startsWith(MARK) ? MARK + toBase64(this.bytes) : text;
  }

  /** How a path says it; null for the few keys that browsers take for steps between folders. */
  get path() {
    if (["", ".", ".."].includes(decode(this.bytes))) {
      return null;
    }
    const escaped = (byte) => {
      const letter = String.fromCharCode(byte);
      return /[A-Za-z0-9_.~-]/.test(letter) ? letter : `%${hexByte(byte).toUpperCase()}`;
    };
    return Array.from(this.bytes, escaped).join("");
  }

  /** How it is shown. */
  get label() {
    return this.bytes.length === 0 ? "(the empty key)" : toLabel(this.bytes);
  }

  equals(other) {
    return other !== null && areEqual(this.bytes, other.bytes);
  }
}
