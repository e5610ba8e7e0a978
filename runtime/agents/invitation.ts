/**
 * Invitations: what a launcher on another host needs to find the coordinator of a job and to trust it. An
 * invitation holds the job's secret. It belongs in a file of mode 0600 or in a variable, never among the
 * arguments of a process, which everybody on a host can read.
 *
 *     celgc-invitation.<payload>.<checksum>
 *
 * The payload is JSON in base64url; the checksum, the first 8 bytes of its SHA-256 in hexadecimal digits,
 * finds what got lost on the way, and is no protection against forgers: the handshake is.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { systemReason } from "../base/system_error.ts";
import { RendezvousError } from "../base/errors.ts";
import { parseAddress } from "../security/endpoint.ts";

/** Changes whenever the fields do. */
const FORMAT = 1;

const PREFIX = "celgc-invitation";
/** Most characters that are looked at. */
const LONGEST = 65536;

/** An invitation to a job. */
export interface Invitation {
  /** Version of the program that the coordinator runs. */
  readonly version: string;
  /** The job's name. */
  readonly job: string;
  /** The job's secret, in hexadecimal digits. */
  readonly secret: string;
  /** Where the coordinator listens, each as `host:port`, the best first. */
  readonly addresses: readonly string[];
  /** Certificate of the job's authority, PEM; null for connections without TLS. */
  readonly ca: string | null;
  /** Until when it is valid, in ms since 1970. */
  readonly expires: number;
}

/** Writes an invitation as one line of text. */
export function encodeInvitation(invitation: Invitation): string {
  const json = JSON.stringify({ format: FORMAT, ...invitation });
  const payload = new TextEncoder().encode(json).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
  return `${PREFIX}.${payload}.${checksum(payload)}`;
}

/**
 * Reads an invitation. The errors never show it.
 *
 * @param now in ms since 1970
 * @throws RendezvousError if it is none, was damaged, is of another format or has expired
 */
export function decodeInvitation(text: string, now: number = Date.now()): Invitation {
  const words = text.trim();
  const [prefix, payload = "", sum = "", ...rest] = words.slice(0, LONGEST).split(".");
  if (prefix !== PREFIX) {
    throw new RendezvousError(
      `cannot join: this is no invitation, which begins with ${PREFIX}: ` +
        (words === "" ? "it is empty" : `it has ${words.length} characters of something else`),
    );
  }
  if (rest.length > 0 || sum !== checksum(payload)) {
    throw new RendezvousError(
      "cannot join: the invitation is damaged, its checksum is that of another text: copy the whole line",
    );
  }
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(
      new TextDecoder().decode(Uint8Array.fromBase64(payload, { alphabet: "base64url" })),
    );
  } catch {
    value = {};
  }
  if (value?.format !== FORMAT) {
    throw new RendezvousError(
      `cannot join: the invitation is of format ${value?.format}, this program reads format ${FORMAT}: ` +
        "run the same version on all hosts",
    );
  }
  const invitation = check(value);
  if (invitation === null) {
    throw new RendezvousError("cannot join: the invitation lacks something, or has it wrong");
  }
  if (now > invitation.expires) {
    throw new RendezvousError(
      `cannot join: the invitation expired at ${
        new Date(invitation.expires).toISOString()
      }, and it is ` +
        `${new Date(now).toISOString()}: start the job again for another one`,
    );
  }
  return invitation;
}

function check(value: Record<string, unknown>): Invitation | null {
  const { version, job, secret, addresses, ca, expires } = value;
  const valid = typeof version === "string" && version.length <= 64 &&
    typeof job === "string" && /^[\w.-]{1,64}$/.test(job) &&
    typeof secret === "string" && /^[0-9a-f]{64}$/.test(secret) &&
    Array.isArray(addresses) && addresses.length > 0 && addresses.every(isAddress) &&
    (ca === null || typeof ca === "string") && typeof expires === "number";
  return valid ? { version, job, secret, addresses, ca, expires } : null;
}

function isAddress(value: unknown): boolean {
  try {
    return typeof value === "string" && parseAddress(value) !== null;
  } catch {
    return false;
  }
}

function checksum(payload: string): string {
  return createHash("sha256").update(payload).digest("hex").slice(0, 16);
}

/**
 * Reads an invitation from a file of this user's alone.
 *
 * @throws RendezvousError if there is none, others can read it, or it is not valid
 */
export async function readInvitationFile(path: string): Promise<Invitation> {
  let text: string;
  try {
    const { mode } = await Deno.stat(path);
    if (mode !== null && (mode & 0o077) !== 0) {
      throw new RendezvousError(
        `cannot join: ${path} holds the job's secret and can be read by others: its mode must be 0600, ` +
          `not 0${(mode & 0o777).toString(8)}`,
      );
    }
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof RendezvousError) throw error;
    if (path.startsWith(`${PREFIX}.`)) {
      throw new RendezvousError(
        "cannot join: a file with the invitation is required, the invitation itself was given, among " +
          "arguments that everybody on this host can read",
      );
    }
    throw new RendezvousError(
      `cannot join: the invitation ${path} cannot be read: ${systemReason(error)}`,
      { cause: error },
    );
  }
  return decodeInvitation(text);
}

/**
 * Writes an invitation to a file that this user alone can read.
 *
 * @returns removes it
 */
export async function writeInvitationFile(
  path: string,
  invitation: Invitation,
): Promise<() => void> {
  const text = `${encodeInvitation(invitation)}\n`;
  try {
    await Deno.remove(path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.writeTextFile(path, text, { createNew: true, mode: 0o600 });
  } catch (error) {
    throw new RendezvousError(`cannot write the invitation: ${systemReason(error)}`, {
      cause: error,
    });
  }
  const remove = () => {
    removeEventListener("unload", remove);
    try {
      if (Deno.readTextFileSync(path) === text) Deno.removeSync(path);
    } catch {
      // Gone already.
    }
  };
  addEventListener("unload", remove);
  return remove;
}
