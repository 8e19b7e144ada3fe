// What to do about an entry that somebody else has changed meanwhile: both are shown, and a person chooses.
//
// Nothing is overwritten here or behind anybody's back: what is chosen becomes another request with a condition, on
// the version that was shown.

import { decode, toHex } from "./bytes.js";
import { find, say, show } from "./elements.js";
import { bytes as inBytes, span } from "./units.js";

/** Bytes of a value that are shown. */
const SHOWN = 4096;

function inText(bytes) {
  const text = bytes.length > SHOWN ? null : decode(bytes);
  const rest = bytes.length > SHOWN ? `\n… of ${inBytes(bytes.length)}` : "";
  return (text ?? toHex(bytes.subarray(0, SHOWN))) + rest;
}

const lifetime = ({ expiresAt }) =>
  expiresAt === null ? "which never expires" : `which expires in ${span(expiresAt - performance.now())}`;

/**
 * Shows what is stored now, null if it is gone, beside one's own, null if one wanted to delete it. Answers `theirs`,
 * `mine`, or nothing for later.
 */
export function resolve(theirs, mine) {
  const why =
    theirs === null
      ? "It was deleted or has expired since you opened it."
      : `Version ${theirs.version} is stored now, ${lifetime(theirs)}. It is not the one that you opened.`;
  const insist = mine === null ? "Delete it all the same" : "Replace it with mine";
  say("conflict-why", `${why} Nothing was written.`);
  say("theirs", theirs === null ? "(no entry)" : inText(theirs.bytes));
  say("mine", mine === null ? "(delete it)" : inText(mine));
  say("take-theirs", theirs === null ? "Drop mine" : "Drop mine, take what is stored");
  say("take-mine", theirs === null ? "Make it anew with mine" : insist);
  return show(find("conflict"));
}
