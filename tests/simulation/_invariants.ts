/** What must hold in every world, by name. */

/** Something that must hold does not. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly invariant: string;

  constructor(invariant: string, found: string) {
    super(`${invariant}: ${found}`);
    this.invariant = invariant;
  }
}

function fail(invariant: string, found: string): never {
  throw new Violation(invariant, found);
}

/** What has become of one rank's program. */
export interface RankOutcome {
  readonly rank: number;
  /** Whether a fault was meant for it, and has come. */
  readonly isHit: boolean;
  /** Why its process has ended; null if it has not. */
  readonly end: string | null;
  /** Whether it was connected with all others. */
  readonly isJoined: boolean;
  /** Whether its program has come to its end. */
  readonly isDone: boolean;
  /** What it has ended with. */
  readonly error: unknown;
  /** When its program ended, in ms. */
  readonly atMs: number;
  /** When its process ended, in ms. */
  readonly endedMs: number;
}

/** A collective call gives every rank what a serial program gives. */
export function resultsAreSerial(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): void {
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i])) continue;
    fail("resultsAreSerial", `${what}: element ${i} is ${actual[i]}, not ${expected[i]}`);
  }
}

/** Whoever is not hit comes to an end, by a time. */
export function nobodyHangs(outcomes: readonly RankOutcome[], byMs: number): void {
  for (const { rank, end, atMs } of outcomes) {
    if (end === null) fail("nobodyHangs", `rank ${rank} has not ended by ${byMs} ms`);
    if (atMs > byMs) fail("nobodyHangs", `rank ${rank} ended at ${atMs} ms, not by ${byMs} ms`);
  }
}

/** Without a fault all programs come to their end. */
export function nothingFailsByItself(outcomes: readonly RankOutcome[], faults: number): void {
  if (faults > 0) return;
  for (const { rank, isDone, error, end } of outcomes) {
    if (!isDone) fail("nothingFailsByItself", `rank ${rank} ended (${end}) with ${error}`);
  }
}

/**
 * Whoever is not hit and fails, fails for want of a rank that is, or that has not come to join for want of one.
 *
 * @param muffled whether a rank's last words may be lost with it, as behind an access link: then it may be blamed too
 */
export function errorsNameTheLost(outcomes: readonly RankOutcome[], muffled: boolean): void {
  const isLost = ({ isHit, error }: RankOutcome) =>
    isHit || (muffled ? error !== undefined : (error as Error)?.name === "RendezvousError");
  const lost = new Set(outcomes.filter(isLost).map(({ rank }) => rank));
  for (const { rank, isHit, error } of outcomes) {
    if (isHit || error === undefined) continue;
    const { name, message, rank: blamed } = error as Error & { rank?: number };
    if (name === "PeerLostError") {
      if (!lost.has(blamed!)) {
        fail(
          "errorsNameTheLost",
          `rank ${rank} blames rank ${blamed}, nothing happened to it: ${message}`,
        );
      }
    } else if (name !== "RendezvousError" && name !== "HandshakeError") {
      fail("errorsNameTheLost", `rank ${rank} failed with ${name}: ${message}`);
    }
  }
}

/** Nothing is left open of a program that has failed to join, or has left. */
export function nothingIsLeftOpen(rank: number, open: number, timers: number): void {
  if (open > 0 || timers > 0) {
    fail("nothingIsLeftOpen", `rank ${rank} leaves ${open} sockets open and ${timers} timers`);
  }
}

/** No promise of a process rejects that nobody looks at: it would end the process with the wrong words. */
export function nothingIsUnhandled(rejections: readonly string[]): void {
  if (rejections.length > 0) fail("nothingIsUnhandled", rejections.join("; "));
}

/**
 * The launcher's exit code says whether a rank has failed, and what it names is a rank that was lost.
 *
 * A network that falls apart while ranks part may hit those alone that have taken leave and ended well: the last word
 * of one of them is lost, and who waits for it is the only one that fails. Then there is nobody else to name.
 */
export function theLauncherTellsTheCause(
  outcomes: readonly RankOutcome[],
  { code, rank }: { readonly code: number; readonly rank: number | null },
): void {
  const failed = outcomes.filter(({ isDone }) => !isDone);
  if (code === 0) {
    if (failed.length > 0) {
      fail(
        "theLauncherTellsTheCause",
        `exit code 0, but rank ${failed[0].rank} ended (${failed[0].end})`,
      );
    }
    return;
  }
  if (rank !== null && outcomes[rank].isHit) return;
  const missed = rank === null ? undefined : (outcomes[rank].error as { rank?: number })?.rank;
  const { isHit, isDone } = outcomes[missed ?? 0];
  if (missed !== undefined && isHit && isDone && failed.every(({ isHit }) => !isHit)) return;
  fail("theLauncherTellsTheCause", `it names rank ${rank}, to which nothing has happened`);
}

/** Once all have joined, whoever is not hit comes to its end without the others. Before that, one ends all. */
export function survivorsGoOn(outcomes: readonly RankOutcome[]): void {
  if (!outcomes.every(({ isJoined }) => isJoined)) return;
  for (const { rank, isHit, isDone, error, end } of outcomes) {
    if (isHit || isDone || end === null || (error as Error)?.name === "RendezvousError") continue;
    fail("survivorsGoOn", `rank ${rank} ended (${end}) with ${error}`);
  }
}

/** Of hosts that have lost each other, and nothing else, that with the higher ranks is left out, and no other. */
export function theHigherGo(outcomes: readonly RankOutcome[], higher: ReadonlySet<number>): void {
  if (!outcomes.every(({ isJoined }) => isJoined)) return;
  for (const { rank, isDone, error, end } of outcomes) {
    if (isDone || higher.has(rank)) continue;
    fail("theHigherGo", `rank ${rank} ended (${end}) with ${error}`);
  }
}

/** Of hosts that have lost each other, and nothing else, ranks of one are left out, and no other. */
export function oneHostGoes(outcomes: readonly RankOutcome[], hosts: readonly number[]): void {
  if (!outcomes.every(({ isJoined }) => isJoined)) return;
  const gone = outcomes.filter(({ isDone }) => !isDone);
  if (new Set(gone.map(({ rank }) => hosts[rank])).size <= 1) return;
  const ends = gone.map(({ rank, end, error }) => `rank ${rank} (${end}, with ${error})`);
  fail("oneHostGoes", `${ends.join(" and ")} are of several hosts`);
}

/** When a rank has ended and failed, the whole job ends within 5 s. */
export function allEndSoon(outcomes: readonly RankOutcome[], endedAt: number): void {
  const failed = outcomes.filter(({ isDone }) => !isDone).map(({ endedMs }) => endedMs);
  const ms = endedAt - Math.min(...failed);
  if (ms > 5000) fail("allEndSoon", `the job ended ${ms} ms after its first rank that failed`);
}
