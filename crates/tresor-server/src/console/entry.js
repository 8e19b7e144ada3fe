// One entry, to be looked at and edited: value, expiry and version.
//
// What is saved is what was opened and no other: every write has a condition, on the version that is shown or on there
// being no entry, and where it does not hold a person decides (conflict.js). A value is edited as text, JSON or hex only
// where that gives back each of its bytes; a large one is shown in part and not edited. Saving replaces the expiry with
// the value, so one that is to stay is sent along.

import { entryPath, request } from "./api.js";
import { Key, areEqual, encode, fromHex } from "./bytes.js";
import { resolve } from "./conflict.js";
import { confirm, find, say, tell, warn } from "./elements.js";
import * as format from "./format.js";
import { LARGE, read } from "./stored.js";
import { bytes as inBytes, span } from "./units.js";

/**
 * What is open, as `stored.js` reads it; without a key it is a new one. `shown` is how its value stands in the field,
 * and the bytes that this was made from.
 */
let entry = null;
let shown = { as: "text", bytes: new Uint8Array(), isEditable: true };
let ticking = null;
/** An answer that comes late, after something else was opened, is dropped. */
let questions = 0;
/** Those who want to know that entries have come, gone or been closed. */
let changed = () => {};
let selected = () => {};

export function onChange(listeners) {
  ({ changed, selected } = listeners);
}

/** Opens the entry of a key, after asking about changes that would be lost. */
export async function open(key) {
  if (!(await mayLeave())) {
    return;
  }
  const question = ++questions;
  try {
    const found = await read(key);
    if (question !== questions) {
      return;
    }
    if (found === null) {
      close();
      tell(`${key.label} is not there any more.`);
      changed();
      return;
    }
    tell("");
    put(found);
    find("value").focus({ preventScroll: false });
  } catch (error) {
    warn(error);
  }
}

/** Begins an entry that there is none of yet. */
export async function begin() {
  if (!(await mayLeave())) {
    return;
  }
  tell("");
  questions += 1;
  const nothing = { bytes: new Uint8Array(), kind: "bytes", size: 0, isWhole: true };
  put({ key: null, tag: null, version: "", expiresAt: null, ...nothing });
  find("key").value = "";
  find("key").focus();
}

/** Shows an entry. */
function put(found) {
  entry = found;
  document.body.classList.add("has-entry");
  find("entry").hidden = false;
  find("no-entry").hidden = true;
  const isNew = entry.key === null;
  say("entry-key", isNew ? "New entry" : entry.key.label);
  find("new-key").hidden = !isNew;
  find("facts").hidden = isNew;
  say("version", entry.version || "unknown");
  find("version").title = entry.tag ?? "";
  say("kind", entry.kind === "JSON" ? "JSON" : "bytes");
  say("size", inBytes(entry.size));
  find("reload").hidden = isNew;
  find("delete").hidden = isNew;
  find("delete").disabled = entry.tag === null;
  find("expiry").value = "keep";
  find("expiry").options[0].textContent = entry.expiresAt === null ? "never" : "as it is";
  find("expiry").options[1].hidden = entry.expiresAt === null;
  find("seconds").hidden = true;
  find("seconds").value = "";
  showAs(format.fitting(entry), entry.bytes);
  clearInterval(ticking);
  tick();
  ticking = setInterval(tick, 1000);
  selected(entry.key);
}

function tick() {
  say("expires", entry.expiresAt === null ? "never" : `in ${span(entry.expiresAt - performance.now())}`);
}

/** Fills the field with bytes in a format. */
function showAs(as, bytes) {
  const { text, trouble } = format.shown(as, bytes);
  const field = find("value");
  field.value = text;
  const isEditable = entry.isWhole && trouble === null && field.value === text;
  field.readOnly = !isEditable;
  shown = { as, bytes, text: field.value, isEditable };
  for (const choice of find("formats").querySelectorAll("input")) {
    choice.checked = choice.value === as;
  }
  find("indent").hidden = as !== "json" || !isEditable;
  find("save").disabled = !entry.isWhole;
  say("value-note", noteOn(as, trouble, field.value === text));
}

function noteOn(as, trouble, isKept) {
  if (!entry.isWhole) {
    const isLarge = entry.size > LARGE;
    const why = isLarge ? `Values over ${inBytes(LARGE)}` : "Keys that no address names";
    return `The first ${inBytes(entry.bytes.length)} of ${inBytes(entry.size)}. ${why} are not edited here.`;
  }
  if (trouble !== null) {
    return trouble;
  }
  if (!isKept) {
    return "It has line ends that a field for text would change: edit it as hex.";
  }
  const kind = as === "json" ? "JSON" : "bytes";
  const isOther = entry.key !== null && kind !== entry.kind;
  return isOther ? `Saved from here it is stored as ${kind}, no longer as ${entry.kind}.` : "";
}

/** The bytes that the field says now. */
function edited() {
  const text = find("value").value;
  if (text === shown.text) {
    return shown.bytes;
  }
  return shown.as === "hex" ? fromHex(text) : encode(text);
}

function isChanged() {
  if (entry === null) {
    return false;
  }
  const isTyped = find("value").value !== shown.text || !areEqual(shown.bytes, entry.bytes);
  return isTyped || find("expiry").value !== "keep" || (entry.key === null && find("key").value !== "");
}

const mayLeave = async () => !isChanged() || (await confirm("Drop what you have changed and not saved?", "Drop it"));

function changeFormat(event) {
  try {
    showAs(event.target.value, edited());
  } catch (error) {
    find("formats").querySelector(`[value=${shown.as}]`).checked = true;
    warn(error);
  }
}

/** What is to be written: its key, bytes, type and expiry. */
function draft() {
  const bytes = edited();
  if (shown.as === "json") {
    format.checkJson(find("value").value);
  }
  const named = () => (find("key-format").value === "hex" ? fromHex : encode)(find("key").value);
  const key = entry.key ?? new Key(named());
  if (key.path === null) {
    throw new Error("A key needs a name, other than . and .. alone, which no address can say.");
  }
  return { key, bytes, type: shown.as === "json" ? "application/json" : "application/octet-stream", ttl: expiry() };
}

/** Seconds that the entry is to stay; null for good. */
function expiry() {
  switch (find("expiry").value) {
    case "keep": {
      const left = entry.expiresAt === null ? null : (entry.expiresAt - performance.now()) / 1000;
      if (left !== null && left <= 0) {
        throw new Error("It has expired meanwhile: choose another expiry to store it anew.");
      }
      return left;
    }
    case "seconds": {
      const seconds = Number(find("seconds").value);
      if (!(seconds > 0)) {
        find("seconds").focus();
        throw new Error("Seconds until it expires: a number above 0.");
      }
      return seconds;
    }
    default:
      return null;
  }
}

async function save() {
  if (entry === null || find("save").disabled) {
    return;
  }
  try {
    await write(draft(), entry.tag);
  } catch (error) {
    warn(error);
  }
}

/** Keeps a value that is being saved as it is. */
function setBusy(isBusy) {
  find("save").disabled = isBusy;
  find("value").readOnly = isBusy || !shown.isEditable;
}

/** Writes what is wanted if the entry still has this tag; if it should not be there without one. */
async function write(wanted, tag) {
  const condition = tag === null ? { "If-None-Match": "*" } : { "If-Match": tag };
  const parameters = wanted.ttl === null ? "" : `&ttl=${wanted.ttl.toFixed(3)}`;
  const headers = { "Content-Type": wanted.type, ...condition };
  setBusy(true);
  try {
    await request("PUT", entryPath(wanted.key, parameters), { headers, body: wanted.bytes });
  } catch (error) {
    if (error.status !== 412) {
      throw error;
    }
    await settle(wanted.key, wanted.bytes, (theirs) => write(wanted, theirs?.tag ?? null));
    return;
  } finally {
    setBusy(false);
  }
  const isNew = entry?.key === null || tag === null;
  await showStored(wanted.key);
  tell(`Saved ${wanted.key.label}.`);
  if (isNew) {
    changed();
  }
}

async function showStored(key) {
  const found = await read(key);
  if (found === null) {
    close();
    changed();
  } else {
    put(found);
  }
}

/** Lets a person choose between what is stored and their own. */
async function settle(key, mine, insist) {
  const theirs = await read(key);
  if (theirs === null && mine === null) {
    gone(key);
    return;
  }
  const choice = await resolve(theirs, mine);
  if (choice === "mine") {
    await insist(theirs);
  } else if (choice === "theirs") {
    await showStored(key);
    tell(theirs === null ? "" : "This is what is stored; yours was dropped.");
  } else {
    tell("Nothing was saved: yours is still here.");
  }
}

async function remove() {
  if (entry?.tag && (await confirm(`Delete ${entry.key.label}?`, "Delete"))) {
    await drop(entry.key, entry.tag).catch(warn);
  }
}

async function drop(key, tag) {
  try {
    await request("DELETE", entryPath(key), { headers: { "If-Match": tag } });
  } catch (error) {
    if (error.status !== 412) {
      throw error;
    }
    await settle(key, null, (theirs) => drop(key, theirs.tag));
    return;
  }
  gone(key);
}

function gone(key) {
  close();
  tell(`Deleted ${key.label}.`);
  changed();
}

/** Closes the entry without a question. */
export function close() {
  questions += 1;
  clearInterval(ticking);
  entry = null;
  find("entry").hidden = true;
  find("no-entry").hidden = false;
  document.body.classList.remove("has-entry");
  selected(null);
}

async function back() {
  if (await mayLeave()) {
    close();
    find("keys").focus();
  }
}

/** Whether it may be closed, asking if something would be lost; closes it then. */
export async function leave() {
  const may = await mayLeave();
  if (may) {
    close();
  }
  return may;
}

async function reopen() {
  if (entry?.key && (await mayLeave())) {
    await showStored(entry.key).catch(warn);
  }
}

export function start() {
  find("entry").addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  find("entry").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      save();
    } else if (event.key === "Escape") {
      event.preventDefault();
      back();
    }
  });
  find("formats").addEventListener("change", changeFormat);
  find("indent").addEventListener("click", () => {
    try {
      find("value").value = format.indent(find("value").value);
    } catch (error) {
      warn(error);
    }
  });
  find("expiry").addEventListener("change", (event) => {
    find("seconds").hidden = event.target.value !== "seconds";
    if (event.target.value === "seconds") {
      find("seconds").focus();
    }
  });
  find("new-entry").addEventListener("click", begin);
  find("back").addEventListener("click", back);
  find("reload").addEventListener("click", reopen);
  find("delete").addEventListener("click", remove);
  window.addEventListener("beforeunload", (event) => {
    if (isChanged()) {
      event.preventDefault();
    }
  });
}
