// The view of the server: shards and their moves, indexes, open transactions, slow commands, clients.
//
// Asked for every two seconds while the view is shown. Each of them answers for itself: what this store does not
// have, or this server does not let anybody ask, is said in its place.

import { command, request } from "./api.js";
import { decode, fromBase64, toLabel } from "./bytes.js";
import { element, fill, find, say } from "./elements.js";
import { Poll } from "./poll.js";
import { bytes, count, percent, seconds, span } from "./units.js";

const SLOWEST = 32;
const MOST_ROWS = 200;

const background = { isBackground: true };
const json = async (path) => (await request("GET", path, background)).json();

async function shards() {
  const { shards: list, move } = await json("/v1/shards");
  fill(
    find("shards"),
    ["Shard", "Engine", "#Weight", "#Share of keys", "Trouble"],
    list.map((shard) => [
      shard.name,
      shard.engine,
      shard.next_weight === shard.weight ? `${shard.weight}` : `${shard.weight} → ${shard.next_weight}`,
      percent(shard.share),
      shard.trouble ?? "",
    ]),
  );
  find("move").replaceChildren(...moved(move));
  return "";
}

function moved(move) {
  const done = `${count(move.keys)} of about ${count(move.expected_keys)} keys, ${bytes(move.bytes)}`;
  const trouble = move.trouble ? ` ${move.trouble}` : "";
  if (move.moving) {
    const bar = element("progress", { max: Math.max(1, move.expected_keys), value: move.keys });
    bar.setAttribute("aria-label", "Keys moved");
    return [bar, ` Moving: ${done}, ${count(move.keys_per_second)} keys/s, for ${span(move.elapsed_ms)}.${trouble}`];
  }
  const last = move.keys > 0 ? ` The last move: ${done}.` : "";
  return [`No keys are being moved.${last}${trouble}`];
}

async function indexes() {
  const { indexes: list } = await json("/v1/indexes");
  fill(
    find("indexes"),
    ["Index", "#Database", "Keys", "Field", "Keeps", "State", "#Entries", "#Unreadable", "#Memory"],
    list.map((index) => [
      index.name,
      `${index.db}`,
      index.prefix === "" ? "all" : `${index.prefix}*`,
      index.field ?? "whole value",
      index.dimensions ? `vectors of ${index.dimensions}, ${index.metric}` : `values as ${index.value_as}`,
      built(index),
      count(index.entries),
      count(index.unreadable),
      bytes(index.bytes),
    ]),
  );
  return list.length === 0 ? "None is defined. Without one a range of values reads every entry." : "";
}

function built(index) {
  switch (index.state) {
    case "building":
      return index.waiting > 0 ? `building, ${count(index.waiting)} left` : `building, ${count(index.read)} read`;
    case "failed":
      return `failed: ${index.failure}`;
    default:
      return index.state;
  }
}

async function transactions() {
  const { transactions: open } = await json("/v1/transactions");
  fill(
    find("transactions"),
    ["#Transaction", "#Keys written, not committed"],
    open.slice(0, MOST_ROWS).map((one) => [`${one.transaction_id}`, count(one.writes)]),
  );
  return open.length === 0 ? "None is open." : shownOf(open.length);
}

/** A string of a reply, which may be bytes. */
const text = (reply) => {
  const raw = reply?.base64 === undefined ? null : fromBase64(reply.base64);
  return raw === null ? String(reply ?? "") : (decode(raw) ?? toLabel(raw));
};

/** The time of a day, with the day where it is not today. */
const moment = (date) =>
  date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString() : date.toLocaleString();

async function slow() {
  const logged = await command(["SLOWLOG", "GET", SLOWEST], background);
  fill(
    find("slow"),
    ["When", "#Took", "Command", "Client"],
    logged.map(([, ended, microseconds, words, address, name]) => [
      moment(new Date(ended * 1000)),
      seconds(microseconds / 1e6),
      element("code", {}, words.map(text).join(" ")),
      [text(address), text(name)].filter(Boolean).join(" "),
    ]),
  );
  return logged.length === 0
    ? "None since the start, or since SLOWLOG RESET. From which time on a command is slow: slowlog-log-slower-than."
    : `The last ${logged.length}, latest first.`;
}

async function clients() {
  const lines = text(await command(["CLIENT", "LIST"], background)).split("\n").filter(Boolean);
  const connected = lines.map((line) =>
    Object.fromEntries(line.split(" ").map((pair) => pair.split(/=(.*)/s).slice(0, 2))),
  );
  fill(
    find("clients"),
    ["#Id", "Address", "Name", "#Connected", "#Idle", "#Database", "Last command"],
    connected.slice(0, MOST_ROWS).map((client) => [
      client.id,
      client.addr,
      client.name,
      span(Number(client.age) * 1000),
      span(Number(client.idle) * 1000),
      client.db,
      client.cmd,
    ]),
  );
  return connected.length === 0
    ? "No client of the Redis protocol is connected. Connections of HTTP come and go with requests."
    : shownOf(connected.length);
}

const shownOf = (number) => (number > MOST_ROWS ? `The first ${MOST_ROWS} of ${count(number)}.` : `${number} now.`);

const PARTS = [
  ["shards", shards],
  ["indexes", indexes],
  ["transactions", transactions],
  ["slow", slow],
  ["clients", clients],
];

/** What this store does not have; it will not come while the view is shown. */
const absent = new Set();

async function look() {
  for (const [name, ask] of PARTS.filter(([name]) => !absent.has(name))) {
    try {
      say(`${name}-note`, await ask());
    } catch (error) {
      if (error.status === 0 || error.status === 401 || error.status === 429) {
        throw error;
      }
      say(`${name}-note`, error.message);
      find(name).hidden = true;
      if (error.status === 501) {
        absent.add(name);
      }
    }
  }
}

// What keeps all of them from answering stands in the page's head already.
const poll = new Poll(2000, look, (error) => PARTS.forEach(([name]) => say(`${name}-note`, error.message)));

export const view = {
  show() {
    absent.clear();
    poll.start();
  },
  hide: () => poll.stop(),
};
