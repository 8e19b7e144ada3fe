"use strict";

// The server that a client program is tested with: where it is, and how it is stopped and started again.
//
// The test does that when it is asked on standard output, and answers on standard input once it is done. So no
// program here waits by time.

const assert = require("node:assert/strict");
const readline = require("node:readline");

const [host, port, password] = process.argv.slice(-3);
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(what) {
  console.log(what);
  assert.equal((await answers.next()).value, "done");
}

module.exports = {
  host,
  port: Number(port),
  password,
  arguments: process.argv.slice(2, -3),
  /** Stops the server; it refuses connections from here on. */
  stop: () => ask("stop"),
  /** Starts it again, on the same port and with the same data. */
  start: () => ask("start"),
  /** Runs all of a program: whatever goes wrong in it ends it with an error. */
  run: (program) =>
    program().then(
      () => {
        console.log("fine");
        process.exit(0);
      },
      (error) => {
        console.error(error);
        process.exit(1);
      },
    ),
};
