/**
 * What a slow network is taken to be, so that one can be tried on a single machine.
 *
 * The model: every rank is a host of its own, with one access link to a core that is never the
 * bottleneck. If the ranks of a job are on several hosts, the link is a host's: frames within the host
 * do not pass it, and each of its ranks has an equal part of the bandwidth, whether or not the others
 * use theirs.
 *
 *     rank ── bandwidth up ──▶                     ┌── bandwidth down ──▶ rank
 *                              core, one-way delay ┤
 *     rank ◀── bandwidth down ─                    └── bandwidth up ──── rank
 *
 * Each direction of a link carries `bitsPerSecond`, and both can be full at once. Frames leave a rank
 * in the order in which they were sent, whoever they are for; the last bit of a frame of n bytes
 * leaves 8n/`bitsPerSecond` after the frames before it have left, is `delayMs` on its way, and has
 * arrived when the receiver's link has carried all that came before it. So a message to an idle rank
 * takes n/bandwidth + delay, a ping and its answer two delays, and a rank that all others send to at
 * once takes the sum of their bytes over its bandwidth.
 *
 * A link may have a window, as TCP has one (RFC 9293, section 3.8.6): of one connection no more than
 * `windowBytes` are on their way at a time. A byte is from when it leaves until it has been acknowledged, one delay
 * after its arrival at the receiver's link; so a connection carries at most window/(two delays), and one
 * that has to wait leaves the link to others. The greatest window that Linux allows by itself is that of a
 * send buffer of 4 MiB (net.ipv4.tcp_wmem), if the receiver's is no smaller. Without one a connection fills any link.
 *
 * A frame's bytes are its payload and its header; what TCP and IP add, their slow start and losses are
 * left out: the window is open from the first byte on. Signs of life, goodbyes and the launcher's word go past the link, as do the start of a job
 * and its end. Nothing ever arrives early; timers make it up to about a millisecond late.
 *
 * @module
 */

/** Access link of every rank. */
export interface LinkShape {
  /** Bandwidth of each direction; Infinity: as fast as it goes. */
  readonly bitsPerSecond: number;
  /** Time on the way from any rank to any other, in ms; a round trip takes two. */
  readonly delayMs: number;
  /** Most bytes of one connection on their way, each way. @default {any number} */
  readonly windowBytes?: number;
}

const BITS: Record<string, number> = { kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const BYTES: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const MS: Record<string, number> = { us: 1e-3, ms: 1, s: 1e3 };
/** Longest delay, in ms: an hour. */
const MOST_DELAY_MS = 3.6e6;
/** Least and greatest window, in bytes: a segment of TCP (RFC 9293), and what its window scales to (RFC 7323). */
const LEAST_WINDOW = 536, MOST_WINDOW = 2 ** 30;

/** An amount as JavaScript spells it, and its unit. */
const PART = /^\s*(window\s*=)?\s*((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)\s*$/;

/**
 * Reads a link such as `100mbit,20ms`: a bandwidth in kbit, mbit or gbit per second and a one-way
 * delay in us, ms or s, as `tc` of Linux spells them; one of the two may be left out. A window of every
 * connection may be added in B, KiB, MiB or GiB, such as `1gbit,50ms,window=4MiB`.
 *
 * @throws RangeError if it is none
 */
export function parseLink(text: string): LinkShape {
  let bitsPerSecond: number | undefined, delayMs: number | undefined, window: number | undefined;
  for (const part of text.toLowerCase().split(",")) {
    const match = PART.exec(part);
    const unit = match?.[3] ?? "", amount = Number(match?.[2]);
    if (match?.[1] !== undefined) {
      const bytes = Math.round(amount * windowUnit(unit));
      if (window !== undefined || !(bytes >= LEAST_WINDOW && bytes <= MOST_WINDOW)) {
        throw new RangeError(
          `a link's window is from ${LEAST_WINDOW}B to 1GiB, in B, KiB, MiB or GiB, once, such as ` +
            `1gbit,50ms,window=4MiB; not ${JSON.stringify(text)}`,
        );
      }
      window = bytes;
    } else if (Object.hasOwn(BITS, unit) && bitsPerSecond === undefined && amount > 0) {
      bitsPerSecond = amount * BITS[unit];
    } else if (
      Object.hasOwn(MS, unit) && delayMs === undefined && amount * MS[unit] <= MOST_DELAY_MS
    ) {
      delayMs = amount * MS[unit];
    } else {
      throw new RangeError(
        `a link is a bandwidth above 0 in kbit, mbit or gbit per second, a delay of up to an hour ` +
          `in us, ms or s, or both, such as 100mbit,20ms; not ${JSON.stringify(text)}`,
      );
    }
  }
  if (window !== undefined && !delayMs) {
    throw new RangeError(
      `a link's window limits what is on its way, and needs a delay, such as 1gbit,50ms,window=4MiB; not ${
        JSON.stringify(text)
      }`,
    );
  }
  return {
    bitsPerSecond: bitsPerSecond ?? Infinity,
    delayMs: delayMs ?? 0,
    ...(window === undefined ? {} : { windowBytes: window }),
  };
}

/** Bytes of a unit, however it is written; NaN: it is none. */
function windowUnit(unit: string): number {
  return Object.entries(BYTES).find(([name]) => name.toLowerCase() === unit)?.[1] ?? NaN;
}

/** Spells a link in one way, which {@linkcode parseLink} reads. */
export function formatLink({ bitsPerSecond, delayMs, windowBytes }: LinkShape): string {
  const parts = [];
  if (bitsPerSecond < Infinity) parts.push(spell(bitsPerSecond, BITS));
  if (delayMs > 0 || parts.length === 0) parts.push(spell(delayMs, MS));
  if (windowBytes !== undefined) parts.push(`window=${spell(windowBytes, BYTES)}`);
  return parts.join(",");
}

/** In the largest unit of which it is at least one. */
function spell(amount: number, units: Record<string, number>): string {
  const names = Object.keys(units);
  const unit = names.findLast((name) => amount >= units[name]) ?? names[0];
  return `${Number((amount / units[unit]).toPrecision(12))}${unit}`;
}

/** The link that one rank is behind, with the ranks of its host or alone. */
export interface HostLink {
  /** What this rank has of it. */
  readonly shape: LinkShape;
  /** Whether it is this rank's alone, so that all that it sends passes it. */
  readonly isOwn: boolean;
  /** Whether frames to and from a rank go past it. */
  isPassed(rank: number): boolean;
}

/** The link of a rank, whose host has one if there are several hosts. */
export function hostLink(link: LinkShape, rank: number, hosts: readonly string[]): HostLink {
  const host = hosts[rank], sharing = hosts.filter((other) => other === host).length;
  if (sharing === hosts.length) return { shape: link, isOwn: true, isPassed: () => false };
  return {
    shape: { ...link, bitsPerSecond: link.bitsPerSecond / sharing },
    isOwn: false,
    isPassed: (other) => hosts[other] === host,
  };
}

/** How long the link is busy with some bytes, in ms. */
export function carryingMs({ bitsPerSecond }: LinkShape, bytes: number): number {
  return 8e3 * bytes / bitsPerSecond;
}
