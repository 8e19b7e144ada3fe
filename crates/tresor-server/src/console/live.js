// The view of what goes on: charts of the last two minutes, a sample a second.
//
// Samples are taken from `/metrics` whichever view is shown, so that the charts have a past when they are opened; they
// are drawn only where they are seen.

import { request } from "./api.js";
import { Chart } from "./chart.js";
import { find, say } from "./elements.js";
import { figures, sample } from "./metrics.js";
import { Poll } from "./poll.js";
import { bytes, count, percent, rate, seconds } from "./units.js";

const CHARTS = [
  {
    title: "Operations",
    note: "Commands and requests for data, at every front door",
    series: ["a second"],
    format: rate,
    of: (now) => [now.operations],
  },
  {
    title: "Latency",
    note: "Of these operations, inside the server",
    series: ["p50", "p99", "p99.9"],
    format: seconds,
    bottom: 1e-6,
    of: (now) => [now.p50, now.p99, now.p999],
  },
  {
    title: "Memory",
    note: "Of the process, and of keys and values where the engine has them in memory",
    series: ["process", "data"],
    format: bytes,
    base: 1024,
    of: (now) => [now.resident, now.data],
  },
  {
    title: "Hit rate",
    note: "Reads that found their key, of all reads",
    series: ["hits"],
    format: percent,
    top: 1,
    of: (now) => [now.hitRate],
  },
  {
    title: "Expiry lag",
    note: "From when entries were due until they were removed",
    series: ["p50", "p99"],
    format: seconds,
    of: (now) => [now.lag50, now.lag99],
  },
];

const charts = CHARTS.map((described) => new Chart(described));
let before = null;
/** Whether the next look may ask for the password. */
let mayAsk = true;
let isShown = false;
/** Those who want to know of each sample. */
const listeners = [];

/** Calls `listener` with each sample. */
export const onSample = (listener) => listeners.push(listener);

async function look() {
  const isBackground = !mayAsk;
  mayAsk = false;
  const response = await request("GET", "/metrics", { isBackground });
  const now = sample(await response.text(), performance.now());
  setState("live", "live");
  const keys = now.keys.reduce((all, one) => all + one, 0);
  say("about", `${now.version} on ${now.engine}, ${count(keys)} ${keys === 1 ? "key" : "keys"}`);
  const between = before === null ? null : figures(before, now);
  before = now;
  listeners.forEach((listener) => listener(now));
  if (between !== null) {
    charts.forEach((chart, place) => chart.add(CHARTS[place].of(between)));
    draw();
  }
}

function draw() {
  if (isShown) {
    charts.forEach((chart) => chart.draw());
  }
}

function setState(state, text) {
  find("state").dataset.state = state;
  say("state", text);
}

function failed(error) {
  const words = { 0: "server does not answer", 401: "signed out", 429: "asked too often" };
  setState("failed", words[error.status] ?? "trouble");
  find("state").title = error.message;
  find("sign-in").hidden = error.status !== 401;
}

const samples = new Poll(1000, look, failed);

/** Takes samples from here on. */
export function start() {
  find("charts").append(...charts.map((chart) => chart.figure));
  onSample(() => {
    find("sign-in").hidden = true;
    find("state").title = "";
  });
  find("sign-in").addEventListener("click", () => {
    mayAsk = true;
    samples.look();
  });
  samples.start();
}

export const view = {
  show() {
    isShown = true;
    draw();
  },
  hide() {
    isShown = false;
  },
};
