// Elements of the page: found by their id, or made with their text.
//
// Whatever comes from the store goes in as text; nothing here, or anywhere in the console, makes markup of it.

export const find = (id) => document.getElementById(id);

/** Makes an element with properties and children; a child that is a string is text. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property in made) {
      made[property] = value;
    } else {
      made.setAttribute(property, value);
    }
  }
  made.append(...children);
  return made;
}

/** Makes an element of a drawing. */
export function drawing(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) {
    made.setAttribute(attribute, value);
  }
  return made;
}

/** Sets a text where it differs, so that nobody is told again what has not changed. */
export function say(id, text) {
  const target = find(id);
  if (target.textContent !== text) {
    target.textContent = text;
  }
}

/** Tells what was done. */
export function tell(text) {
  say("alert", "");
  say("message", text);
  find("dismiss").hidden = text === "";
}

/** Tells what went wrong. */
export function warn(error) {
  if (error.constructor !== Error && !("status" in error)) {
    // A mistake of this program, not of people or servers.
    console.error(error);
  }
  say("message", "");
  say("alert", error.message);
  find("dismiss").hidden = false;
}

/** Shows a dialog until it is closed; the value of the button that closed it, empty for Escape. */
export function show(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}

/** Asks before something that cannot be taken back. */
export async function confirm(question, yes) {
  say("question-title", question);
  say("question-yes", yes);
  return (await show(find("question"))) === "yes";
}

/** Fills a table: names of columns, then rows of texts or elements. A column whose name begins with # is of numbers. */
export function fill(table, columns, rows) {
  const cell = (name, place, content) => {
    const isNumber = columns[place].startsWith("#");
    return element(name, isNumber ? { className: "number" } : {}, content);
  };
  const head = columns.map((column, place) => {
    const made = cell("th", place, column.replace(/^#/, ""));
    made.scope = "col";
    return made;
  });
  const body = rows.map((row) => element("tr", {}, ...row.map((content, place) => cell("td", place, content))));
  table.replaceChildren(
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...body),
  );
  table.hidden = rows.length === 0;
}
