"use strict";

// What a program with @upstash/redis does every day: commands of Redis over HTTP, unchanged.

const assert = require("node:assert/strict");
const { Redis } = require("@upstash/redis");
const server = require("./tested_server.js");

const url = `http://${server.host}:${server.port}/v1/command`;

function connect(more) {
  // As soon as may be: the test decides when there is a server again.
  const retry = { retries: 6000, backoff: () => 10 };
  return new Redis({ url, token: server.password, retry, ...more });
}

async function passwords() {
  const stranger = connect({ token: "wrong", enableAutoPipelining: false });
  await assert.rejects(stranger.get("name"), /NOAUTH wrong password/);
}

async function everyday(client) {
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.set("name", "Alice", { ex: 100 }), "OK");
  assert.equal(await client.get("name"), "Alice");
  assert.ok((await client.ttl("name")) > 90);
  assert.equal(await client.get("absent"), null);
  assert.equal(await client.set("name", "Bob", { nx: true }), null);
  assert.deepEqual(await client.mget("name", "absent"), ["Alice", null]);
  assert.equal(await client.incr("counter"), 1);
  assert.equal(await client.incrby("counter", 41), 42);
  assert.equal(await client.incrbyfloat("fraction", 0.5), 0.5);

  const order = { id: 7, "pièces": ["OK", "", "\u{1f511}", null, 1.5], open: true };
  await client.set("order", order);
  assert.deepEqual(await client.get("order"), order);
  await client.mset({ "m:1": "OK", "m:2": { nested: [1, 2] } });
  assert.deepEqual(await client.mget("m:1", "m:2"), ["OK", { nested: [1, 2] }]);
  const long = "\u{e4}".repeat(500_000);
  await client.set("long", long);
  assert.equal(await client.get("long"), long);

  const [cursor, keys] = await client.scan("0", { match: "m:*", count: 1000 });
  assert.equal(cursor, "0");
  assert.deepEqual(keys.sort(), ["m:1", "m:2"]);
  assert.equal(await client.del("m:1", "m:2", "absent"), 2);
  await assert.rejects(client.incr("name"), /ERR value is not an integer or out of range/);
  await assert.rejects(client.eval("return 1", [], []), /unknown command/);
}

async function pipelines(client) {
  const pipeline = client.pipeline();
  for (let number = 0; number < 5000; number++) {
    pipeline.set(`p:${number}`, number).get(`p:${number}`);
  }
  const answers = await pipeline.exec();
  assert.equal(answers.length, 10_000);
  assert.deepEqual(answers.slice(-2), ["OK", 4999]);

  const mixed = client.pipeline().incr("name").get("name");
  assert.deepEqual(await mixed.exec({ keepErrors: true }), [
    { error: "ERR value is not an integer or out of range", result: undefined },
    { error: undefined, result: "Alice" },
  ]);
  assert.deepEqual(await client.multi().incr("counter").get("counter").exec(), [43, 43]);
  await assert.rejects(client.multi().incr("counter").eval("return 1", [], []).exec(), /EXECABORT/);
  assert.equal(await client.get("counter"), 43);
}

async function aRestart(client) {
  await server.stop();
  const counted = client.incr("counter");
  await server.start();
  assert.equal(await counted, 44);
  assert.equal(await client.get("p:4999"), 4999);
}

server.run(async () => {
  await passwords();
  for (const more of [{ enableAutoPipelining: false }, {}, { responseEncoding: false }]) {
    const client = connect(more);
    await client.flushdb();
    await everyday(client);
    await pipelines(client);
  }
  await aRestart(connect());
});
