// Where the agent listens, and whether that socket is safe to use.
// docs/PROTOCOL.md, "Transport and who may speak".

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { basename, dirname, isAbsolute, join } from "node:path";

import { Refusal } from "./refusal.js";

const APP = "tokenward";

/**
 * The addresses to try, likeliest first, and the credentials directory to name in each request:
 * undefined where the user chose the agent by TOKENWARD_SOCK.
 */
export function agentAddresses(env = process.env) {
  if (env.TOKENWARD_SOCK) {
    return { directory: undefined, sockets: [env.TOKENWARD_SOCK] };
  }
  const ordinary = resolved(userDirectory(env, "XDG_DATA_HOME", ".local/share"));
  const directory = env.TOKENWARD_DIR ? resolved(env.TOKENWARD_DIR) : ordinary;
  const names = [`${tag(directory)}.sock`];
  if (directory === ordinary) names.unshift("agent.sock");
  const runtime = runtimeDirectories(env).find(isPrivate);
  const sockets = runtime === undefined ? [] : names.map((name) => join(runtime, name));
  const recorded = recordedAddress(join(stateDirectory(env), tag(directory)));
  if (recorded !== undefined && !sockets.includes(recorded)) sockets.push(recorded);
  return { directory, sockets };
}

/** Where the agent of another environment says that it is, in the directory's state folder. */
function recordedAddress(folder) {
  let host;
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "ascii").trim();
    host = `${boot}-${readlinkSync("/proc/self/ns/pid").replace(/\D/g, "")}`;
  } catch {
    host = tag(hostname()); // another system than Linux
  }
  const file = join(folder, `agent-${host}`);
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (!found?.isFile() || found.uid !== process.geteuid() || found.mode & 0o022) return undefined;
  const [address, end] = readFileSync(file, "utf8").split("\n");
  return end !== undefined && isAbsolute(address) ? address : undefined;
}

function tag(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function stateDirectory(env) {
  return userDirectory(env, "XDG_STATE_HOME", ".local/state");
}

/**
 * Throw unless the socket at `path` belongs to this user or to root; return false if it is absent.
 *
 * Node cannot ask the kernel which user listens (SO_PEERCRED, getpeereid). It can check the socket's
 * owner, which is the user that bound it, and the directory: if no other user can write there, no
 * other user can have replaced the socket. A sticky directory, such as /tmp, prevents that as well.
 */
export function isOurs(path) {
  let socket, folder;
  try {
    socket = statSync(path);
    folder = statSync(dirname(path));
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return false;
    throw new Refusal(`The agent's socket ${path} cannot be checked (${error.code}).`);
  }
  if (!socket.isSocket() || !isTrusted(socket.uid)) {
    throw new Refusal(`${path} is not a socket of yours, so nothing was sent to it.`);
  }
  const others = folder.mode & 0o022 && !(folder.mode & 0o1000);
  if (!isTrusted(folder.uid) || others) {
    throw new Refusal(`Other users can write to ${dirname(path)}, so nothing was sent to ${path}.`);
  }
  return true;
}

function runtimeDirectories(env) {
  const found = [];
  if (isAbsolute(env.XDG_RUNTIME_DIR ?? "")) found.push(env.XDG_RUNTIME_DIR);
  if (process.platform === "linux") found.push(`/run/user/${process.geteuid()}`);
  if (process.platform === "darwin") {
    found.push(execFileSync("/usr/bin/getconf", ["DARWIN_USER_TEMP_DIR"], { encoding: "utf8" }).trim());
  }
  return [...found.map((base) => join(base, APP)), join(stateDirectory(env), "run")];
}

/** A directory of the user's, by the variable that names its parent, else below the home. */
function userDirectory(env, variable, usual) {
  const base = env[variable] ?? "";
  if (isAbsolute(base)) return join(base, APP);
  return join(homedir(), process.platform === "darwin" ? "Library/Application Support" : usual, APP);
}

/** Whether `path` is a directory, not a link, the user's own, and closed to other users. */
function isPrivate(path) {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() && found.uid === process.geteuid() && (found.mode & 0o5777) === 0o700;
}

function isTrusted(uid) {
  return uid === process.geteuid() || uid === 0;
}

/** `path` with its links resolved; its last parts need not exist. */
function resolved(path) {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(resolved(parent), basename(path));
  }
}
