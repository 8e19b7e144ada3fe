// The question for the password. Who keeps it is api.js.

import { find, say, show } from "./elements.js";

/** Asks for the password; null if nobody wants to tell it. */
export async function askForPassword(isWrong) {
  say("sign-in-why", isWrong ? "That password is wrong." : "The server was started with a password.");
  const input = find("password");
  input.value = "";
  const answer = await show(find("sign-in-dialog"));
  const password = input.value;
  input.value = "";
  return answer === "yes" ? password : null;
}
