// The list of keys: those with a prefix, a page at a time.
//
// A page is what one request answers, 100 keys; nothing here counts or fetches all of them. A small store, and what has
// a prefix, is listed in key order. Of a large one the first page comes in whatever order costs least, because an engine
// may have to sort all keys for the other. Cursors of the pages behind are kept, so that one can go back.

import { chosen, request } from "./api.js";
import { Key } from "./bytes.js";
import { element, find, say, tell, warn } from "./elements.js";
import { count } from "./units.js";

const PAGE = 100;
/** Up to so many keys are sorted without being asked. */
const QUICKLY_SORTED = 100_000;

/** What is listed: prefix, order, and the cursors that led here. */
let listing = { prefix: "", order: "asc", cursors: [""], next: null };
let keys = [];
/** Which key of the page the arrows have reached; -1 for none. */
let place = -1;
/** The entry that is open. */
let current = null;
/** Answers that come late, after another question, are dropped. */
let questions = 0;
/** Whether all keys are to be sorted; with a prefix they are anyway. */
let isSorted = true;
let open = () => {};

/** Calls `handler` with a key that was chosen. */
export const onOpen = (handler) => {
  open = handler;
};

/** Chooses the order in which a store with so many keys is listed first. */
export function choosePresetOrder(keysInStore) {
  isSorted = keysInStore <= QUICKLY_SORTED;
}

/** Lists from the beginning what the form says. */
export function list() {
  const prefix = find("prefix").value;
  const order = isSorted || prefix !== "" ? "asc" : "any";
  find("sorted").checked = order === "asc";
  find("sorted").disabled = prefix !== "";
  listing = { prefix, order, cursors: [""], next: null };
  return load();
}

/** Asks for the same page again. */
export const reload = () => load();

async function load() {
  const question = ++questions;
  const asked = listing;
  const parameters = new URLSearchParams({ db: chosen.database, limit: PAGE, order: asked.order });
  if (asked.prefix !== "") {
    parameters.set("prefix", asked.prefix);
  }
  const cursor = asked.cursors[asked.cursors.length - 1];
  if (cursor !== "") {
    parameters.set("cursor", cursor);
  }
  find("keys").setAttribute("aria-busy", "true");
  try {
    const page = await (await request("GET", `/v1/entries?${parameters}`)).json();
    if (question === questions) {
      listing = { ...asked, next: page.cursor ?? null };
      keys = page.entries.map(({ key }) => Key.named(key));
      draw();
    }
  } catch (error) {
    if (question === questions) {
      keys = [];
      listing = { ...asked, next: null };
      draw();
      say("keys-note", "Not listed.");
      warn(error);
    }
  } finally {
    find("keys").removeAttribute("aria-busy");
  }
}

function draw() {
  const options = keys.map((key, at) =>
    element(
      "li",
      { role: "option", id: `key-${at}`, "aria-selected": "false", title: key.label },
      element("span", { className: "key" }, key.label),
    ),
  );
  find("keys").replaceChildren(...options);
  find("keys").scrollTop = 0;
  const page = listing.cursors.length;
  find("previous-page").disabled = page === 1;
  find("next-page").disabled = listing.next === null;
  say("keys-note", note(page));
  reach(-1);
  mark();
}

function note(page) {
  if (keys.length === 0) {
    const where = listing.prefix === "" ? `in database ${chosen.database}` : "with this prefix";
    return listing.next === null ? `No keys ${where}.` : `Page ${page}: none yet, the search goes on with the next page.`;
  }
  const order = listing.order === "asc" ? "in key order" : "in no order";
  return `Page ${page}: ${count(keys.length)} ${keys.length === 1 ? "key" : "keys"}, ${order}.`;
}

/** Shows which key is open. */
function mark() {
  keys.forEach((key, at) => {
    find(`key-${at}`).setAttribute("aria-selected", String(key.equals(current)));
  });
}

/** Says which entry is open, or that none is. */
export function select(key) {
  current = key;
  mark();
}

/** Moves to a key of the page. */
function reach(at) {
  find(`key-${place}`)?.classList.remove("active");
  place = Math.min(at, keys.length - 1);
  const active = find(`key-${place}`);
  if (active === null) {
    find("keys").removeAttribute("aria-activedescendant");
    return;
  }
  active.classList.add("active");
  active.scrollIntoView({ block: "nearest" });
  find("keys").setAttribute("aria-activedescendant", active.id);
}

async function turn(isForward) {
  if (isForward ? listing.next === null : listing.cursors.length === 1) {
    return;
  }
  const cursors = isForward ? [...listing.cursors, listing.next] : listing.cursors.slice(0, -1);
  listing = { ...listing, cursors, next: null };
  await load();
}

function chooseAt(at) {
  if (keys[at] !== undefined) {
    reach(at);
    open(keys[at]);
  }
}

function pressed(event) {
  const steps = {
    ArrowDown: () => reach(place + 1),
    ArrowUp: () => reach(Math.max(0, place - 1)),
    Home: () => reach(0),
    End: () => reach(keys.length - 1),
    PageDown: () => turn(true),
    PageUp: () => turn(false),
    Enter: () => chooseAt(place),
    " ": () => chooseAt(place),
  };
  const step = event.ctrlKey || event.altKey || event.metaKey ? undefined : steps[event.key];
  if (step !== undefined) {
    event.preventDefault();
    step();
  }
}

export function start() {
  find("browse").addEventListener("submit", (event) => {
    event.preventDefault();
    tell("");
    list();
  });
  find("sorted").addEventListener("change", (event) => {
    isSorted = event.target.checked;
    list();
  });
  find("prefix").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      find("keys").focus();
      reach(0);
    }
  });
  find("keys").addEventListener("keydown", pressed);
  find("keys").addEventListener("click", (event) => {
    const option = event.target.closest("li");
    if (option !== null) {
      chooseAt([...find("keys").children].indexOf(option));
    }
  });
  find("next-page").addEventListener("click", () => turn(true));
  find("previous-page").addEventListener("click", () => turn(false));
}
