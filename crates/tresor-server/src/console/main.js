// The beginning: views and the way between them, the database, keys that hold everywhere.

import { chosen } from "./api.js";
import { element, find, tell } from "./elements.js";
import * as entries from "./entries.js";
import * as entry from "./entry.js";
import * as live from "./live.js";
import * as query from "./query.js";
import * as server from "./server.js";
import { count } from "./units.js";

const DATABASES = 16;

const VIEWS = {
  entries: {},
  query: {},
  live: live.view,
  server: server.view,
};

let shown = null;

/** Shows a view, and its name in the address, so that it is found again. */
function show(name) {
  if (shown === name) {
    return;
  }
  VIEWS[shown]?.hide?.();
  shown = name;
  for (const each of Object.keys(VIEWS)) {
    const isShown = each === name;
    find(`view-${each}`).hidden = !isShown;
    find(`tab-${each}`).setAttribute("aria-selected", String(isShown));
    find(`tab-${each}`).tabIndex = isShown ? 0 : -1;
  }
  VIEWS[name].show?.();
  history.replaceState(null, "", `#${name}`);
}

function startTabs() {
  const names = Object.keys(VIEWS);
  for (const name of names) {
    find(`tab-${name}`).addEventListener("click", () => show(name));
  }
  find("tabs").addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    const step = steps[event.key];
    if (step !== undefined) {
      const name = names[(names.indexOf(shown) + step + names.length) % names.length];
      show(name);
      find(`tab-${name}`).focus();
    }
  });
  const asked = location.hash.slice(1);
  show(names.includes(asked) ? asked : "entries");
}

function startDatabases() {
  const select = find("database");
  const options = Array.from({ length: DATABASES }, (_, number) => element("option", { value: number }, `${number}`));
  select.append(...options);
  select.addEventListener("change", async () => {
    if (await entry.leave()) {
      chosen.database = Number(select.value);
      query.clear();
      entries.list();
    } else {
      select.value = String(chosen.database);
    }
  });
  live.onSample(({ keys }) => {
    keys.forEach((number, place) => {
      options[place].textContent = number > 0 ? `${place} (${count(number)})` : `${place}`;
    });
  });
}

/** Lists once the first sample has told how many keys there are. */
function startListing() {
  let isListed = false;
  live.onSample(({ keys }) => {
    if (!isListed) {
      isListed = true;
      entries.choosePresetOrder(keys[chosen.database] ?? 0);
      entries.list();
    }
  });
}

function isTyping(target) {
  return target.closest("textarea, select, dialog, input:not([type=checkbox], [type=radio])") !== null;
}

function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.altKey && !event.metaKey && !isTyping(event.target)) {
      event.preventDefault();
      show("entries");
      find("prefix").focus();
      find("prefix").select();
    }
  });
}

async function openFound(key) {
  show("entries");
  await entry.open(key);
}

entries.onOpen(entry.open);
query.onOpen(openFound);
entry.onChange({ changed: entries.reload, selected: entries.select });
find("dismiss").addEventListener("click", () => tell(""));
entries.start();
entry.start();
query.start();
startTabs();
startDatabases();
startListing();
startKeys();
live.start();
