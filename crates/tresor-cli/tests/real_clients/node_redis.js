"use strict";

// What a program with node-redis does every day, in the protocol version that it is told.

const assert = require("node:assert/strict");
const { createClient } = require("redis");
const server = require("./tested_server.js");

/** The next event of a kind. events.once() would also end with an error, of which there are some on the way. */
const next = (emitter, event) =>
  new Promise((resolve) => emitter.once(event, (...words) => resolve(words)));

function build(password) {
  const client = createClient({
    socket: { host: server.host, port: server.port, reconnectStrategy: () => 10 },
    password,
    database: 3,
    name: "everyday",
    RESP: Number(server.arguments[0]),
  });
  // Told of each connection that is refused while the server is stopped.
  client.on("error", (error) => assert.match(`${error.code} ${error.message}`, /ECONN|EPIPE|closed/));
  return client;
}

async function passwords() {
  const stranger = createClient({
    socket: { host: server.host, port: server.port, reconnectStrategy: false },
    password: "wrong",
  });
  stranger.on("error", () => {});
  await assert.rejects(stranger.connect(), /WRONGPASS/);
}

async function everyday(client) {
  assert.equal(await client.set("name", "Alice", { EX: 100 }), "OK");
  assert.equal(await client.get("name"), "Alice");
  assert.equal(await client.get("absent"), null);
  assert.equal(await client.set("name", "Bob", { NX: true }), null);
  assert.deepEqual(await client.mGet(["name", "absent"]), ["Alice", null]);
  assert.equal(await client.incrBy("counter", 42), 42);
  assert.equal(await client.clientGetName(), "everyday");

  const found = [];
  for await (const keys of client.scanIterator({ MATCH: "*", COUNT: 1 })) {
    found.push(...keys);
  }
  assert.deepEqual(found.sort(), ["counter", "name"]);
  await assert.rejects(client.incr("name"), /not an integer/);
  assert.match(await client.info("server"), /redis_version:7\.2/);
}

async function pipelines(client) {
  // What is sent in one turn of the event loop goes out as one pipeline.
  const numbers = Array.from({ length: 5000 }, (_, number) => number);
  await Promise.all(numbers.map((number) => client.set(`p:${number}`, number)));
  const read = await Promise.all(numbers.map((number) => client.get(`p:${number}`)));
  assert.deepEqual(read, numbers.map(String));

  assert.deepEqual(await client.multi().incr("counter").get("counter").exec(), [43, "43"]);
  await client.watch("counter");
  const other = client.duplicate();
  other.on("error", () => {});
  await other.connect();
  await other.incr("counter");
  await other.close();
  await assert.rejects(client.multi().incr("counter").exec(), /watched keys has been changed/);
}

async function messages(client, heard, text) {
  const next = heard.next();
  assert.equal(await client.publish("news", text), 1);
  assert.deepEqual((await next).value, [text, "news"]);
}

/** What comes on a channel, as an iterator. */
async function listen(listener) {
  const { on, EventEmitter } = require("node:events");
  const emitter = new EventEmitter();
  const heard = on(emitter, "message");
  await listener.subscribe("news", (message, channel) => emitter.emit("message", message, channel));
  return heard;
}

async function aRestart(client, listener) {
  const both = (event) => Promise.all([next(client, event), next(listener, event)]);
  const lost = both("reconnecting");
  await server.stop();
  await lost;
  // Waits for the server in the queue of the client.
  const counted = client.incr("counter");
  const ready = both("ready");
  await server.start();
  await ready;
  assert.equal(await counted, 45);
  assert.equal(await client.get("p:4999"), "4999");
}

server.run(async () => {
  await passwords();
  const client = build(server.password);
  await client.connect();
  const listener = build(server.password);
  await listener.connect();
  await everyday(client);
  await pipelines(client);
  const heard = await listen(listener);
  await messages(client, heard, "it works");
  await aRestart(client, listener);
  await messages(client, heard, "it works again");
  await Promise.all([client.close(), listener.close()]);
});
