/**
 * How a rank comes to the rendezvous: where it is, and the secret by which both trust each other.
 *
 * @module
 */

import { RendezvousError } from "../base/errors.ts";
import { platform } from "../base/platform.ts";
import { RendezvousClient } from "../rendezvous/client.ts";
import {
  parseRecord,
  readRendezvousText,
  writeRendezvousFile,
} from "../rendezvous/rendezvous_file.ts";
import { RendezvousServer } from "../rendezvous/server.ts";
import { isLoopback, listenAtKnown, type TlsMaterial } from "../security/endpoint.ts";
import { type Credentials, credentials } from "../security/handshake.ts";
import { type ProcessInfo, readTls } from "./environment.ts";
import { secretLine } from "./launcher_pipe.ts";

/** How long a rank waits before it reads again where rank 0 is, in ms. */
const RETRY_MS = 100;

/** A rank's attempt to join its job. */
export interface Attempt {
  readonly info: ProcessInfo;
  readonly tls: TlsMaterial | undefined;
  /** When it is given up, on the clock of `performance.now()`. */
  readonly deadline: number;
  /** Closes what has been opened, if it fails. */
  readonly opened: DisposableStack;
}

/** A rank's connection to the rendezvous, and what proved it. */
export interface RendezvousConnection {
  readonly client: RendezvousClient;
  readonly job: Credentials;
  /** Where the rendezvous is. */
  readonly address: RendezvousAddress["address"];
}

/** Where the rendezvous is, and the job's secret. */
interface RendezvousAddress {
  readonly address: { readonly hostname: string; readonly port: number };
  readonly secret: Uint8Array;
}

/** Begins to join: the time runs. */
export async function beginAttempt(info: ProcessInfo, opened: DisposableStack): Promise<Attempt> {
  const tls = info.tls === null ? undefined : await readTls(info.tls);
  return { info, tls, deadline: platform.now() + info.joinMs, opened };
}

/**
 * Connects a rank with the rendezvous. Without a launcher of ours rank 0 serves that itself.
 *
 * @throws RendezvousError if the secret is missing, or the rendezvous is not there in time, or others could not
 * reach this rank where it has reached that
 * @throws HandshakeError if this rank's secret is not the job's
 */
export async function findRendezvous(attempt: Attempt): Promise<RendezvousConnection> {
  const { info, opened } = attempt, isOurs = info.launcher === null;
  const connection = info.rendezvousFile !== null && info.rank !== 0
    ? await followRendezvousFile(info.rendezvousFile, attempt)
    : await connect(
      attempt,
      isOurs || info.rank !== 0
        ? { address: info.rendezvous!, secret: await readSecret(info) }
        : await serveRendezvous(attempt),
    );
  const { client, address } = connection;
  opened.defer(() => client.close());
  if (!isOurs && !info.near) {
    const variable = info.rendezvous === null ? "CELGC_ADDRESS" : "CELGC_RENDEZVOUS";
    checkReachable(address.hostname, client.localHostname, variable);
  }
  return connection;
}

/**
 * Reads where rank 0 is and goes there, again and again: the file may be one that an earlier job left, torn
 * perhaps, until rank 0 of this one takes it away.
 */
async function followRendezvousFile(
  path: string,
  attempt: Attempt,
): Promise<RendezvousConnection> {
  for (;; await new Promise((resolve) => platform.setTimeout(resolve, RETRY_MS))) {
    const text = await readRendezvousText(path, attempt.deadline);
    try {
      const record = parseRecord(path, text);
      const found = { address: record, secret: Uint8Array.fromHex(record.secret) };
      return await connect(attempt, found, true);
    } catch (error) {
      if (platform.now() >= attempt.deadline) throw error;
    }
  }
}

/** @param once whether not to try again */
async function connect(
  { info, tls, deadline }: Attempt,
  { address, secret }: RendezvousAddress,
  once = false,
): Promise<RendezvousConnection> {
  const { rank, size } = info, job = await credentials(info.job, secret);
  const client = await RendezvousClient.connect({
    ...address,
    job,
    rank,
    size,
    tls,
    deadline,
    once,
    tellsLosses: info.launcher === null,
  });
  return { client, job, address };
}

/** At rank 0, without our launcher: begins to serve the rendezvous, and lets the others know where. */
async function serveRendezvous(
  { info, tls, deadline, opened }: Attempt,
): Promise<RendezvousAddress> {
  const { near, rendezvous, rendezvousFile, size } = info;
  const secret = info.secretFile === null
    ? platform.getRandomValues(new Uint8Array(32))
    : await readSecret(info);
  const hostname = rendezvous?.hostname ?? (near ? "127.0.0.1" : info.address ?? nameForOthers());
  const listener = listenAtKnown(hostname, rendezvous?.port ?? 0, tls);
  const { port } = listener.addr as Deno.NetAddr;
  let remove = () => {};
  const server = new RendezvousServer({
    listener,
    job: await credentials(info.job, secret),
    size,
    alone: true,
    onFailure: info.onFailure,
    deadline,
    events: { complete: () => remove() },
  });
  opened.defer(() => server.close());
  const address = { hostname, port };
  if (rendezvousFile !== null) {
    remove = await writeRendezvousFile(rendezvousFile, { ...address, secret: secret.toHex() });
    opened.defer(remove);
  }
  return { address, secret };
}

/**
 * This host's name, by which others reach it. Where the name is a loopback address, as Debian writes it to
 * /etc/hosts, the one address that the host has besides; of several, its user must say which.
 */
function nameForOthers(): string {
  const name = Deno.hostname();
  try {
    using probe = platform.listen({ hostname: name, port: 0 });
    if (!isLoopback((probe.addr as Deno.NetAddr).hostname)) return name;
  } catch {
    return name; // Whoever listens there says why it cannot.
  }
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  if (state !== "granted") return name;
  const others = Deno.networkInterfaces().filter(({ family, address }) =>
    family === "IPv4" && !isLoopback(address)
  );
  return others.length === 1 ? others[0].address : name;
}

/**
 * Checks, where ranks may be on several hosts, that a rank is not about to tell the others an address
 * that is theirs. Debian gives a host's own name such an address in /etc/hosts.
 *
 * @param hostname of the rendezvous; a loopback address that somebody wrote there was meant
 * @param localHostname from where this rank has reached it
 * @param variable that can name another address of the rendezvous
 * @throws RendezvousError if others cannot reach this rank there
 */
export function checkReachable(
  hostname: string,
  localHostname: string,
  variable: "CELGC_ADDRESS" | "CELGC_RENDEZVOUS",
): void {
  if (isLoopback(hostname) || !isLoopback(localHostname)) return;
  throw new RendezvousError(
    `${hostname} is ${localHostname} on this host, an address that ranks on other hosts cannot reach: ` +
      `name an address of rank 0's host that they can reach in ${variable}; 127.0.0.1 there says that ` +
      "all ranks run on this host",
  );
}

/** Reads the job's secret. @throws RendezvousError if it cannot be read, or is no secret */
export async function readSecret({ secretFile }: ProcessInfo): Promise<Uint8Array> {
  const from = secretFile ?? "the launcher's pipe";
  let text;
  if (secretFile === null) {
    // Waiting for the line does not by itself keep the process alive.
    const hold = platform.setInterval(() => {}, 60_000);
    text = await secretLine();
    platform.clearInterval(hold);
  } else {
    const { mode } = await platform.stat(secretFile);
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new RendezvousError(
        `${secretFile} holds the job's secret and can be read by others: its mode must be 0600, ` +
          `not 0${(mode & 0o777).toString(8)}`,
      );
    }
    text = (await platform.readTextFile(secretFile)).trim();
  }
  // The text itself is not shown: it may be the secret with a slip in it.
  if (!/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new RendezvousError(
      `the job's secret is one line of 64 hexadecimal digits; ${from} gave ${text.length} characters`,
    );
  }
  return Uint8Array.fromHex(text);
}
