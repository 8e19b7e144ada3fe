// Requests to the server, and what goes wrong with them in plain words.
//
// The console asks what any program may ask (`/openapi.json`), nothing else. The password is kept in this module, in no
// storage, and goes into `Authorization`; browsers are told to send nothing of their own.

import { encode, toBase64 } from "./bytes.js";
import { askForPassword } from "./sign_in.js";

/** What is asked: the numbered database. */
export const chosen = { database: 0 };

let authorization = null;
/** The sign-in that goes on, for all requests that wait for it. */
let signingIn = null;

/** How often a request is sent again that came too soon after others. */
const PATIENCE = 4;
/** Requests that wait to be sent again; until they are, those of nobody in particular keep back. */
let waiting = 0;

/** An answer that says no, or none at all: then the status is 0. */
export class Failure extends Error {
  constructor(status, problem, retryAfter = null) {
    super(inWords(status, problem.detail ?? "", retryAfter));
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

function inWords(status, detail, retryAfter) {
  const sentence = detail && detail[0].toUpperCase() + detail.slice(1) + (/[.!?]$/.test(detail) ? "" : ".");
  switch (status) {
    case 0:
      return "The server does not answer. Look whether it runs; this page goes on by itself once it is back.";
    case 401:
      return "The server wants its password: sign in.";
    case 429:
      return `This address asks more often than --http-rate-limit allows. Try again in ${retryAfter ?? 1} s.`;
    case 403:
    case 421:
      return `The server refuses this page. ${sentence}`;
    default:
      return sentence || `The server answered with status ${status}.`;
  }
}

async function send(method, path, { headers = {}, body, signal } = {}) {
  const all = authorization ? { ...headers, Authorization: authorization } : headers;
  let response;
  try {
    response = await fetch(path, { method, headers: all, body, signal, credentials: "omit", cache: "no-store" });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Failure(0, {});
  }
  if (response.ok) {
    return response;
  }
  const problem = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After")) || null;
  throw new Failure(response.status, problem, seconds);
}

/**
 * Sends a request; the answer, if it is a good one. One that somebody waits for asks for the password first where it is
 * needed, and is sent again if it came too soon; one in the background leaves both to the others.
 */
export async function request(method, path, options = {}) {
  for (let tries = 0; ; ) {
    const sent = authorization;
    try {
      if (options.isBackground && waiting > 0) {
        throw new Failure(429, {});
      }
      return await send(method, path, options);
    } catch (error) {
      if (options.isBackground) {
        throw error;
      }
      if (error.status === 429 && tries < PATIENCE) {
        tries += 1;
        await pause(error.retryAfter ?? 1);
      } else if (error.status !== 401 || (sent === authorization && !(await signIn()))) {
        throw error;
      }
    }
  }
}

async function pause(seconds) {
  waiting += 1;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  waiting -= 1;
}

/** Asks for the password, once for all who need it; whether there is one now. */
function signIn() {
  signingIn ??= askForPassword(authorization !== null)
    .then((password) => {
      authorization = password === null ? null : `Basic ${toBase64(encode(`console:${password}`))}`;
      return password !== null;
    })
    .finally(() => {
      signingIn = null;
    });
  return signingIn;
}

/** Sends JSON and reads JSON. */
export async function post(path, document, options = {}) {
  const headers = { "Content-Type": "application/json" };
  const response = await request("POST", path, { ...options, headers, body: JSON.stringify(document) });
  return response.json();
}

/** Executes a command of the Redis protocol; words are texts, numbers or bytes. */
export async function command(words, options = {}) {
  const said = words.map((word) => (word instanceof Uint8Array ? { base64: toBase64(word) } : word));
  const answer = await post(`/v1/command?db=${chosen.database}`, said, options);
  return answer.result;
}

/** The address of an entry. */
export const entryPath = (key, parameters = "") =>
  `/v1/entries/${key.path}?db=${chosen.database}${parameters}`;
