// Queries: a form that becomes the document of `POST /v1/query`, and what was found, a page at a time.

import { chosen, request } from "./api.js";
import { Key, fromBase64, toLabel } from "./bytes.js";
import { element, find, say, tell, warn } from "./elements.js";
import { count } from "./units.js";

/** Letters of a value that are shown. */
const SHOWN = 300;

/** What a condition on a value may say: how it is called, and the members that it becomes. */
const CONDITIONS = {
  "equals": (text) => ({ from: text, to: text }),
  "from": (text) => ({ from: text }),
  "to": (text) => ({ to: text }),
  "above": (text) => ({ after: text }),
  "below": (text) => ({ before: text }),
  "begins with": (text) => ({ prefix: text }),
  "like (glob)": (text) => ({ glob: text }),
  "matches (regex)": (text) => ({ regex: text }),
};

let open = () => {};
/** What was asked last, and where it goes on. */
let asked = { document: null, cursor: null, found: 0 };

/** Calls `handler` with a key that was chosen. */
export const onOpen = (handler) => {
  open = handler;
};

function addCondition() {
  const [field, text] = ["field", "text"].map((name) =>
    element("input", { type: "text", name, spellcheck: false, autocapitalize: "off" }),
  );
  field.placeholder = "/field, or empty for the whole value";
  field.setAttribute("aria-label", "Field");
  text.setAttribute("aria-label", "Compared with");
  const names = Object.keys(CONDITIONS).map((name) => element("option", {}, name));
  const how = element("select", { "aria-label": "Comparison" }, ...names);
  const remove = element("button", { type: "button", "aria-label": "Remove this condition" }, "Remove");
  const row = element("div", { className: "bar condition" }, field, how, text, remove);
  remove.addEventListener("click", () => {
    row.remove();
    find("add-condition").focus();
    preview();
  });
  find("conditions").append(row);
  return field;
}

/** The document that the form says. */
function read() {
  const { elements } = find("query");
  const document = {};
  for (const name of ["prefix", "glob", "regex"]) {
    if (elements[name].value !== "") {
      document[name] = elements[name].value;
    }
  }
  const where = [];
  for (const row of find("conditions").children) {
    const [field, how, text] = row.children;
    if (text.value !== "") {
      where.push({ ...(field.value === "" ? {} : { field: field.value }), ...CONDITIONS[how.value](text.value) });
    }
  }
  if (where.length > 0) {
    document.where = where;
  }
  // A query may have two fields of this name: those of conditions stand in rows of their own.
  const nearest = (name) => find("query").querySelector(`.fields [name=${name}]`).value.trim();
  if (nearest("vector") !== "") {
    document.nearest = { vector: vector(nearest("vector")), metric: nearest("metric") };
    if (nearest("field") !== "") {
      document.nearest.field = nearest("field");
    }
  } else {
    document.order = elements.order.value;
  }
  document.limit = Number(elements.limit.value) || 50;
  document.values = elements.values.checked;
  document.explain = elements.explain.checked;
  return document;
}

function vector(text) {
  const numbers = text.replace(/^\[|\]$/g, "").split(/[\s,]+/).filter(Boolean).map(Number);
  if (numbers.some(Number.isNaN)) {
    throw new Error("A vector is numbers with commas or blanks between them.");
  }
  return numbers;
}

function preview() {
  try {
    say("query-document", JSON.stringify(read(), null, 2));
  } catch (error) {
    say("query-document", error.message);
  }
}

async function run() {
  tell("");
  try {
    asked = { document: read(), cursor: null, found: 0 };
    find("found").tBodies[0].replaceChildren();
    await next();
  } catch (error) {
    say("query-note", "Nothing was found: the query was not run.");
    find("found").hidden = true;
    find("more").hidden = true;
    warn(error);
  }
}

async function ask(document) {
  const headers = { "Content-Type": "application/json" };
  const path = `/v1/query?db=${chosen.database}`;
  const response = await request("POST", path, { headers, body: JSON.stringify(document) });
  return JSON.parse(await response.text(), asWritten);
}

/** Keeps a number as it is written where JavaScript would change it, in browsers that can. */
function asWritten(_, value, context) {
  const isChanged = typeof value === "number" && context?.source !== undefined && String(value) !== context.source;
  return isChanged && JSON.rawJSON ? JSON.rawJSON(context.source) : value;
}

async function next() {
  const { document, cursor } = asked;
  const started = performance.now();
  say("query-note", "Searching");
  const page = await ask(cursor === null ? document : { ...document, cursor });
  if (asked.document !== document) {
    return;
  }
  const took = performance.now() - started;
  asked = { document, cursor: page.cursor ?? null, found: asked.found + page.entries.length };
  find("found").tBodies[0].append(...page.entries.map(row));
  find("found").hidden = asked.found === 0;
  find("found").classList.toggle("with-distance", document.nearest !== undefined);
  find("more").hidden = asked.cursor === null;
  const more = asked.cursor === null ? "" : " There may be more.";
  const skipped = page.skipped ? ` ${count(page.skipped)} left out: no number, text or vector that compares.` : "";
  const entries = asked.found === 1 ? "entry" : "entries";
  say("query-note", `${count(asked.found)} ${entries} found; this page took ${took.toFixed(0)} ms.${more}${skipped}`);
  const plan = Object.entries(page.plan ?? {});
  say("query-plan", plan.map(([name, fact]) => `${name}: ${fact}`).join("; "));
}

function row({ key: name, value, distance }) {
  const key = Key.named(name);
  const link = element("button", { type: "button", className: "link" }, key.label);
  link.addEventListener("click", () => open(key));
  return element(
    "tr",
    {},
    element("td", {}, link),
    element("td", { className: "number" }, distance === undefined ? "" : shortNumber(distance)),
    element("td", {}, element("code", {}, shortened(value))),
  );
}

const shortNumber = (number) => String(Number(Number(JSON.stringify(number)).toPrecision(6)));

function shortened(value) {
  if (value === undefined) {
    return "";
  }
  const text = inText(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)} …` : text;
}

/** A value as text. An object with one member of these names stands for what could not be said plainly. */
function inText(value) {
  const [name, ...others] = typeof value === "object" && value !== null ? Object.keys(value) : [];
  if (name === "base64" && others.length === 0) {
    return toLabel(fromBase64(value.base64));
  }
  const json = name === "json" && others.length === 0 ? value.json : value;
  return typeof json === "string" ? json : JSON.stringify(json);
}

/** Forgets what was found. */
export function clear() {
  asked = { document: null, cursor: null, found: 0 };
  find("found").hidden = true;
  find("more").hidden = true;
  say("query-note", "Fill in what has to hold, all of it together, and run.");
  say("query-plan", "");
}

export function start() {
  addCondition();
  find("add-condition").addEventListener("click", () => addCondition().focus());
  find("query").addEventListener("input", preview);
  find("query").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  find("query").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  });
  find("more").addEventListener("click", () => next().catch(warn));
  preview();
}
