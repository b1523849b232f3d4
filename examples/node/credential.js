#!/usr/bin/env node
// node credential.js URL [USERNAME]: print user name and secret, a line each, or say why not.

import { fetchCredential } from "./agent.js";
import { Refusal } from "./refusal.js";

const [service, username, ...rest] = process.argv.slice(2);
try {
  if (service === undefined || rest.length > 0) {
    throw new Refusal("One URL is needed, and perhaps a user name.", "`node credential.js URL`");
  }
  const found = await fetchCredential(service, username);
  process.stdout.write(Buffer.concat([Buffer.from(`${found.username}\n`), found.secret, Buffer.from("\n")]));
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  if (error.hint) process.stderr.write(`hint: ${error.hint}\n`);
  process.exitCode = 2;
}
