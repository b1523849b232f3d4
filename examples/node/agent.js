// One request to the agent and its answer: docs/PROTOCOL.md, "Frame" and "Header".

import { createConnection } from "node:net";

import { decode, encode } from "@msgpack/msgpack";

import { agentAddresses, isOurs } from "./places.js";
import { Refusal } from "./refusal.js";

const VERSION = 1;
const LARGEST = 262_144; // bytes that a frame's length may announce
const ANSWER_MS = 10_000;

/**
 * Ask for the credential of an index by its URL, in any spelling; with `username`, here or in the
 * URL, for that account's. Resolves to { username, secret, expires }: the secret as a Buffer, the
 * expiry in seconds since 1970 or null. Rejects with a Refusal, whose `code` is the agent's.
 */
export async function fetchCredential(url, username) {
  const { spelling, named } = parted(url);
  const { directory, sockets } = agentAddresses();
  for (const socket of sockets) {
    if (!isOurs(socket)) continue;
    try {
      const request = { v: VERSION, id: 1, op: "fetch", dir: directory, spelling, username: username ?? named };
      const { header, body } = await ask(socket, request);
      return { username: header.username, secret: body, expires: header.expires };
    } catch (refusal) {
      // The agent of another home may listen at the plain name; ours is then at the next address.
      if (!["other-directory", "absent", "busy"].includes(refusal.code)) throw refusal;
    }
  }
  throw new Refusal("No agent is running.", "`auth agent start` starts it", "absent");
}

/**
 * Remove user info, query and fragment, which are not part of a service. The agent knows which
 * spellings of the rest are equal.
 */
function parted(url) {
  const parts = /^([^/?#]*:\/\/)(?:([^/?#]*)@)?([^?#]*)/.exec(url);
  if (parts === null) return { spelling: url };
  const [, scheme, userInfo, rest] = parts;
  const named = userInfo?.split(":")[0];
  return { spelling: scheme + rest, named: named ? decoded(named) : undefined };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refusal("The user name in the URL has a stray percent sign.", "write %25 for it");
  }
}

/** Send one request on a connection of its own and resolve to header and body of the answer. */
async function ask(path, request) {
  const { header, body } = await exchange(path, frame(request));
  // The agent answers an unreadable frame with the id 0.
  if (header.id !== request.id && !(header.id === 0 && header.ok === false)) {
    throw new Refusal("The answer does not match the request.");
  }
  if (header.ok === true) return { header, body };
  const hint = header.usernames ? `name one of ${header.usernames.join(", ")}` : header.hint;
  throw new Refusal(header.message, hint, header.code);
}

/** u32 length | u16 header length | header; a request of this client has no body. */
function frame(request) {
  const header = encode(request, { ignoreUndefined: true }); // an absent key is not nil
  const start = Buffer.alloc(6);
  start.writeUInt32BE(2 + header.length, 0);
  start.writeUInt16BE(header.length, 4);
  return Buffer.concat([start, header]);
}

/** Split a complete frame into header and body; null while it is incomplete. */
function cut(data) {
  if (data.length < 6) return null;
  const end = 4 + data.readUInt32BE(0);
  const body = 6 + data.readUInt16BE(4);
  if (end > 4 + LARGEST || body > end) throw new Refusal("The answer is not an agent's.");
  if (data.length < end) return null;
  let header;
  try {
    header = decode(data.subarray(6, body));
  } catch {
    header = null;
  }
  if (header === null || typeof header !== "object") throw new Refusal("The answer is not an agent's.");
  return { header, body: data.subarray(body, end) };
}

function exchange(path, question) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => socket.write(question));
    let received = Buffer.alloc(0);
    const done = (settle, value) => {
      socket.destroy();
      settle(value);
    };
    socket.setTimeout(ANSWER_MS, () => done(reject, new Refusal("The agent does not answer.")));
    socket.on("data", (more) => {
      received = Buffer.concat([received, more]);
      try {
        const answer = cut(received);
        if (answer !== null) done(resolve, answer);
      } catch (refusal) {
        done(reject, refusal);
      }
    });
    socket.on("end", () => done(reject, new Refusal("The agent closed the connection.", "try again")));
    socket.on("error", (error) => {
      const absent = error.code === "ECONNREFUSED" || error.code === "ENOENT";
      const message = `The agent at ${path} cannot be reached (${error.code}).`;
      done(reject, new Refusal(message, "", absent ? "absent" : ""));
    });
  });
}
