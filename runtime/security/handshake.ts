/**
 * The handshake that opens every connection of a job: both ends prove that they know the job's secret
 * without showing it, by challenge and response with HMAC-SHA-256 (RFC 2104; the exchange is the
 * three-pass mutual authentication of ISO/IEC 9798-4). A proof covers a label for its direction and
 * purpose, the version, the job, both ranks, which of several connections of theirs it is, both nonces and the verdict, so that no message can be
 * sent back to its author, replayed, or carried over to another connection, rank or job.
 *
 * Three frames of {@linkcode GREETING_BYTES} bytes, and nothing else, cross an unproven connection:
 *
 *     listener → dialer   CHALLENGE   the listener's nonce
 *     dialer → listener   PROOF       both ranks, the dialer's nonce, the dialer's proof
 *     listener → dialer   VERDICT     welcome or why not, the listener's proof
 *
 * The dialer proves itself first, so that a stranger gets nothing but random bytes out of a listener.
 *
 *     0  4  "CLGC"        8  u32  dialer's rank      16  32  nonce
 *     4  u8 version      12  u32  listener's rank    48  32  proof
 *     5  u8 frame's kind
 *     6  u8 verdict
 *     7  u8 number of the connection
 *
 * @module
 */

import { HandshakeError } from "../base/errors.ts";
import { platform } from "../base/platform.ts";

/** Size in bytes of each of the three frames. */
export const GREETING_BYTES = 80;

/** Largest time in ms from a connection's opening to its proof. */
export const HANDSHAKE_MS = 5000;

/** Stands for the rendezvous where a rank is asked for. */
export const RENDEZVOUS_RANK = 0xffffffff;

/** Stands for the coordinator, to which launchers on other hosts report, where a rank is asked for. */
export const COORDINATOR_RANK = 0xfffffffe;

/** Stands for the gateway of a host, to which that host's ranks say where they listen. */
export const GATEWAY_RANK = 0xfffffffd;

/** Stands for the relay, from which a host that can only dial out fetches those who come for its ranks. */
export const RELAY_RANK = 0xfffffffc;

/**
 * What a dialer sends before the handshake to a listener at which TLS may begin as well: no record of TLS
 * begins so (RFC 8446, appendix B.1).
 */
export const KNOCK = 0xc3;

/** Changes whenever frames, handshake or messages change. */
const VERSION = 5;
const MAGIC = 0x434c4743; // "CLGC"
const CHALLENGE = 1, PROOF = 2, VERDICT = 3;
const NONCE_BYTES = 32, NONCE_AT = 16, PROOF_AT = 48;

/**
 * What the connection is for; a proof for one purpose is worth nothing for another. Those of a gateway: to
 * pass to a rank behind it, to say where such a rank listens, to be found, to fetch a connection.
 */
export type Purpose =
  | "rendezvous"
  | "mesh"
  | "agent"
  | "gateway"
  | "register"
  | "probe"
  | "fetch";

/** Why a proven rank is not let in. */
export type Refusal = "duplicate rank" | "unexpected rank";

const REFUSALS: readonly (Refusal | null)[] = [null, "duplicate rank", "unexpected rank"];

/** What a dialer may have come for. */
export interface Service {
  readonly purpose: Purpose;
  /** The listener's rank, or what stands for it, or which it stands for; the dialer names it in its proof. */
  readonly self: number | ((listener: number) => boolean);
  /** Asked once the dialer has proved its rank, and which of its connections this is: null lets it in. */
  admit(rank: number, number: number): Refusal | null;
}

/** What handshakes of one job have in common. */
export interface Credentials {
  /** The job's whole name. */
  readonly job: string;
  /** The job's secret, as an HMAC-SHA-256 key for "sign" and "verify". */
  readonly key: CryptoKey;
}

/** What the handshake needs of a connection. */
export interface ByteStream {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
}

/**
 * Makes the job's secret into credentials.
 *
 * @param job the job's name
 * @param secret 32 bytes
 */
export async function credentials(job: string, secret: Uint8Array): Promise<Credentials> {
  if (secret.length !== 32) {
    throw new RangeError(`a job's secret is 32 bytes long, not ${secret.length}`);
  }
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const raw = Uint8Array.from(secret);
  const key = await platform.subtle.importKey("raw", raw, algorithm, false, ["sign", "verify"]);
  return { job, key };
}

/**
 * The dialer's side. The caller sets the deadline, by closing the connection.
 *
 * @param self the dialer's rank
 * @param peer the listener's rank, or {@linkcode RENDEZVOUS_RANK}
 * @param number which of several connections between the two this is, below 256
 * @throws HandshakeError if the listener proves nothing, or proves itself and refuses this rank
 */
export async function initiate(
  connection: ByteStream,
  job: Credentials,
  purpose: Purpose,
  self: number,
  peer: number,
  number = 0,
): Promise<void> {
  const who = nameOf(purpose, peer);
  const challenge = await receive(connection, CHALLENGE, who);
  const theirs = challenge.slice(NONCE_AT, NONCE_AT + NONCE_BYTES);
  const ours = platform.getRandomValues(new Uint8Array(NONCE_BYTES));
  const proof = blank(PROOF);
  const view = new DataView(proof.buffer);
  view.setUint8(7, number);
  view.setUint32(8, self);
  view.setUint32(12, peer);
  proof.set(ours, NONCE_AT);
  const transcriptOf = (direction: string, verdict: number) =>
    transcript(direction, purpose, job.job, verdict, self, peer, number, ours, theirs);
  proof.set(await sign(job, transcriptOf("dialer", 0)), PROOF_AT);
  await transmit(connection, proof);

  const verdict = await receive(connection, VERDICT, who);
  const code = verdict[6];
  if (!await verify(job, verdict, transcriptOf("listener", code))) {
    throw new HandshakeError(
      `cannot trust ${who}: it does not know the secret of job ${job.job}`,
      true,
    );
  }
  if (code !== 0) {
    throw new HandshakeError(
      `${who} refused ${purpose === "agent" ? "this agent" : `rank ${self}`} of job ${job.job}: ${
        REFUSALS[code] ?? `reason ${code}`
      }`,
      true,
    );
  }
}

/** A listener in words. */
function nameOf(purpose: Purpose, listener: number): string {
  switch (purpose) {
    case "rendezvous":
      return "the rendezvous";
    case "agent":
      return "the coordinator";
    case "mesh":
      return `rank ${listener}`;
    case "gateway":
      return `the gateway to rank ${listener}`;
    case "register":
    case "probe":
      return "the gateway";
    case "fetch":
      return "the relay";
  }
}

/**
 * The listener's side, for whichever of its services the dialer has come. The caller sets the deadline,
 * by closing the connection.
 *
 * @returns the dialer's rank, what it has come for, to which rank, and over which of several connections
 * @throws HandshakeError if the dialer is a stranger, or was refused
 */
export async function respond<S extends Service>(
  connection: ByteStream,
  job: Credentials,
  services: readonly S[],
): Promise<{ rank: number; service: S; listener: number; number: number }> {
  const ours = platform.getRandomValues(new Uint8Array(NONCE_BYTES));
  const challenge = blank(CHALLENGE);
  challenge.set(ours, NONCE_AT);
  await transmit(connection, challenge);

  const proof = await receive(connection, PROOF, "a dialer");
  const view = new DataView(proof.buffer, proof.byteOffset);
  const rank = view.getUint32(8), listener = view.getUint32(12), number = view.getUint8(7);
  const theirs = proof.slice(NONCE_AT, NONCE_AT + NONCE_BYTES);
  const service = services.find(({ self }) =>
    typeof self === "number" ? self === listener : self(listener)
  );
  const transcriptOf = (direction: string, verdict: number) =>
    transcript(
      direction,
      service!.purpose,
      job.job,
      verdict,
      rank,
      listener,
      number,
      theirs,
      ours,
    );
  if (service === undefined || !await verify(job, proof, transcriptOf("dialer", 0))) {
    throw new HandshakeError(`a dialer does not know the secret of job ${job.job}`);
  }
  const refusal = service.admit(rank, number);
  const verdict = blank(VERDICT);
  verdict[6] = REFUSALS.indexOf(refusal);
  verdict.set(await sign(job, transcriptOf("listener", verdict[6])), PROOF_AT);
  await transmit(connection, verdict);
  if (refusal !== null) throw new HandshakeError(`refused rank ${rank}: ${refusal}`);
  return { rank, service, listener, number };
}

/** What a proof is about. Every part has a fixed position or a stated length, so none can pass for another. */
function transcript(
  direction: string,
  purpose: Purpose,
  job: string,
  verdict: number,
  dialer: number,
  listener: number,
  number: number,
  dialerNonce: Uint8Array,
  listenerNonce: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const label = new TextEncoder().encode(`celgc ${VERSION} ${purpose} ${direction}\0${job}\0`);
  const numbers = new DataView(new ArrayBuffer(20));
  numbers.setUint32(0, label.length);
  numbers.setUint32(4, verdict);
  numbers.setUint32(8, dialer);
  numbers.setUint32(12, listener);
  numbers.setUint32(16, number);
  const bytes = new Uint8Array(20 + 2 * NONCE_BYTES + label.length);
  bytes.set(new Uint8Array(numbers.buffer));
  bytes.set(dialerNonce, 20);
  bytes.set(listenerNonce, 20 + NONCE_BYTES);
  bytes.set(label, 20 + 2 * NONCE_BYTES);
  return bytes;
}

async function sign(job: Credentials, transcript: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await platform.subtle.sign("HMAC", job.key, transcript));
}

function verify(
  job: Credentials,
  frame: Uint8Array<ArrayBuffer>,
  transcript: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  return platform.subtle.verify("HMAC", job.key, frame.subarray(PROOF_AT), transcript);
}

function blank(kind: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(GREETING_BYTES);
  new DataView(frame.buffer).setUint32(0, MAGIC);
  frame[4] = VERSION;
  frame[5] = kind;
  return frame;
}

/** Reads exactly one frame, never more, and looks at its first bytes as soon as they are there. */
async function receive(
  connection: ByteStream,
  kind: number,
  who: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const frame = new Uint8Array(GREETING_BYTES);
  let filled = 0;
  while (filled < GREETING_BYTES) {
    const n = await connection.read(frame.subarray(filled));
    if (n === null) {
      throw new HandshakeError(
        `${who} closed the connection after ${filled} of ${GREETING_BYTES} bytes of the handshake`,
      );
    }
    filled += n;
    if (filled < 6) continue;
    const view = new DataView(frame.buffer);
    if (view.getUint32(0) !== MAGIC) {
      throw new HandshakeError(`${who} does not speak this protocol`);
    }
    if (frame[4] !== VERSION) {
      throw new HandshakeError(
        `${who} speaks version ${frame[4]} of the protocol, this is version ${VERSION}`,
        true,
      );
    }
    if (frame[5] !== kind) {
      throw new HandshakeError(`${who} sent frame ${frame[5]} of the handshake, expected ${kind}`);
    }
  }
  return frame;
}

async function transmit(connection: ByteStream, frame: Uint8Array): Promise<void> {
  for (let sent = 0; sent < frame.length;) {
    sent += await connection.write(frame.subarray(sent));
  }
}
