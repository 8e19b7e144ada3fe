"use strict";

// What a program with ioredis does every day, in the protocol version that it is told.

const assert = require("node:assert/strict");
const Redis = require("ioredis");
const server = require("./tested_server.js");

/** The next event of a kind. events.once() would also end with an error, of which there are some on the way. */
const next = (emitter, event) =>
  new Promise((resolve) => emitter.once(event, (...words) => resolve(words)));

const options = {
  host: server.host,
  port: server.port,
  password: server.password,
  db: 3,
  protocol: Number(server.arguments[0]),
  // As soon as may be: the test decides when there is a server again.
  retryStrategy: () => 10,
};

function connect(more) {
  const client = new Redis({ ...options, ...more });
  // Told of each connection that is refused while the server is stopped.
  client.on("error", (error) => assert.match(error.message, /ECONNREFUSED|ECONNRESET|EPIPE/));
  return client;
}

async function passwords() {
  const stranger = new Redis({ ...options, password: "wrong", lazyConnect: true, retryStrategy: null });
  const errors = [];
  stranger.on("error", (error) => errors.push(error.message));
  await assert.rejects(stranger.get("name"));
  assert.match(errors.join(), /WRONGPASS/);
  stranger.disconnect();
}

async function everyday(client) {
  assert.equal(await client.set("name", "Alice", "EX", 100), "OK");
  assert.equal(await client.get("name"), "Alice");
  assert.equal(await client.get("absent"), null);
  assert.equal(await client.set("name", "Bob", "NX"), null);
  assert.deepEqual(await client.mget("name", "absent"), ["Alice", null]);
  assert.equal(await client.incr("counter"), 1);
  assert.equal(await client.incrby("counter", 41), 42);

  const binary = Buffer.from(Array.from({ length: 100_000 }, (_, number) => number % 256));
  await client.set("binary", binary);
  assert.ok(binary.equals(await client.getBuffer("binary")));

  const other = connect({ db: 0 });
  assert.equal(await other.get("counter"), null);
  await other.quit();

  const found = [];
  for await (const keys of client.scanStream({ match: "*", count: 1 })) {
    found.push(...keys);
  }
  assert.deepEqual(found.sort(), ["binary", "counter", "name"]);
  await assert.rejects(client.incr("name"), /not an integer/);
  assert.match(await client.info("server"), /redis_version:7\.2/);
}

async function pipelines(client) {
  const pipeline = client.pipeline();
  for (let number = 0; number < 5000; number++) {
    pipeline.set(`p:${number}`, number).get(`p:${number}`);
  }
  const answers = await pipeline.exec();
  assert.equal(answers.length, 10_000);
  assert.ok(answers.every(([error]) => error === null));
  assert.deepEqual(answers[9999], [null, "4999"]);

  assert.deepEqual(await client.multi().incr("counter").get("counter").exec(), [
    [null, 43],
    [null, "43"],
  ]);
  await client.watch("counter");
  const other = connect();
  await other.incr("counter");
  await other.quit();
  assert.equal(await client.multi().incr("counter").exec(), null);
}

async function messages(client, listener) {
  const channels = await listener.subscribe("news");
  assert.equal(channels, 1);
  assert.equal(await listener.psubscribe("n*"), 2);
  const heard = Promise.all([next(listener, "message"), next(listener, "pmessage")]);
  assert.equal(await client.publish("news", "it works"), 2);
  assert.deepEqual(await heard, [
    ["news", "it works"],
    ["n*", "news", "it works"],
  ]);
}

async function aRestart(client, listener) {
  const both = (event) => Promise.all([next(client, event), next(listener, event)]);
  const closed = both("close");
  await server.stop();
  await closed;
  // Waits for the server in the queue of the client.
  const counted = client.incr("counter");
  const ready = both("ready");
  await server.start();
  await ready;
  assert.equal(await counted, 45);
  assert.equal(await client.get("p:4999"), "4999");

  // The listener subscribes once more by itself, and is done when its next command is answered.
  await listener.subscribe("more news");
  const heard = Promise.all([next(listener, "message"), next(listener, "pmessage")]);
  assert.equal(await client.publish("news", "it works again"), 2);
  assert.deepEqual((await heard)[0], ["news", "it works again"]);
}

server.run(async () => {
  await passwords();
  const [client, listener] = [connect(), connect()];
  await everyday(client);
  await pipelines(client);
  await messages(client, listener);
  await aRestart(client, listener);
  await Promise.all([client.quit(), listener.quit()]);
});
