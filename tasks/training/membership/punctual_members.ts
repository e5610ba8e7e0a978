/**
 * Ranks that do not wait for each other longer than so long: one that is late is left out of what the others do
 * together, and comes back after the next time that they do. All of them are alive.
 *
 * The first of the ranks decides, for all alike, and is waited for always: every rank tells it that it is there, and
 * hears from it who goes on. A rank that is left out hears when it is taken in again.
 *
 * @module
 */

import { platform, type Timer } from "../../../runtime/base/platform.ts";
import type { Communicator } from "../../../runtime/communicator.ts";
import { changeWorlds, membersOf, type Worlds } from "../../data/sampling/worlds.ts";
import { receiveWhole, sendBytes } from "../../run/byte_stream.ts";
import { type Carried, share } from "./carried.ts";
import type { Assembled, Crew, Members } from "./members.ts";

/** Tags of the messages. */
const ARRIVAL = 0x4152, GROUP = 0x4752;

/** A turn of the event loop, in ms. */
const TURN_MS = 10;

/** The rank, of all, that decides. */
const LEADER = 0;

/** What the leader says. */
type Word =
  /** Those who are there, and those who come when it is done; no worlds where all are there. */
  | { readonly kind: "go"; readonly worlds: Worlds | null; readonly joins: readonly number[] }
  /** To one who was left out: it is taken in. */
  | { readonly kind: "join"; readonly worlds: Worlds }
  /** To one who was left out: the run is over. */
  | { readonly kind: "end" };

/** One rank's end of it. Every rank makes the same calls. */
export class PunctualMembers implements Members {
  readonly recovery = null;
  readonly given: Communicator;
  readonly #all: Communicator;
  readonly #numbers: readonly number[];
  readonly #maxWaitMs: number;
  readonly #say: (line: string) => void;
  #worlds: Worlds;
  /** The step before whose common work the ranks have last come together. */
  #assembled = -1;
  /** Who is taken in when that is done. */
  #joins: readonly number[] = [];
  /** What a rank that is left out has heard. */
  #heard: Word | null = null;
  /** On the leader: the step that each of the others has last said to be there for; −1 before. */
  readonly #arrivals: number[];
  #listens = false;
  /** Why nobody else comes any more: one of the others is lost, or the run is over. */
  #lost: Error | null = null;
  /** Resolves when another has come. */
  #news = Promise.withResolvers<void>();

  /**
   * Nothing is sent yet.
   *
   * @param first those that begin; stays the caller's
   * @param all the same, on a communicator that nothing else uses; is freed at the end
   * @param worlds theirs is the last
   * @param maxWait seconds that a rank is waited for when half of them are there
   * @param say gets a line about each that is left out or comes back, on the leader
   */
  constructor(
    first: Communicator,
    all: Communicator,
    worlds: Worlds,
    maxWait: number,
    say: (line: string) => void,
  ) {
    this.given = first;
    this.#all = all;
    this.#worlds = worlds;
    this.#numbers = membersOf(worlds.at(-1)!);
    this.#maxWaitMs = 1000 * maxWait;
    this.#say = say;
    this.#arrivals = new Array(all.size).fill(-1);
  }

  begin(): Promise<Crew> {
    return Promise.resolve({ comm: this.given, worlds: this.#worlds });
  }

  leavesAt(): boolean {
    return false;
  }

  async assemble(t: number, since: (rank: number) => number): Promise<Assembled | null> {
    // Those who go on without others do what they came for.
    if (t === this.#assembled) return null;
    this.#assembled = t;
    const word = this.#all.rank === LEADER ? await this.#lead(t, since) : await this.#follow(t);
    if (word.kind !== "go") {
      this.#heard = word;
      return { crew: null };
    }
    this.#joins = word.joins;
    return word.worlds && { crew: await this.#crewOf(word.worlds) };
  }

  changeAfter(): boolean {
    return this.#joins.length > 0;
  }

  async next(
    t: number,
    since: (rank: number) => number,
    carried: Carried,
  ): Promise<Crew | null> {
    const joins = this.#joins;
    this.#joins = [];
    const members = [...membersOf(this.#worlds.at(-1)!), ...joins].sort((a, b) => a - b);
    const worlds = changeWorlds(this.#worlds, members, { step: t, isDone: true, since });
    if (this.#all.rank === LEADER) {
      for (const rank of joins) {
        this.#say(`rank ${rank} is back after step ${t}, with the average`);
        await this.#tell(rank, { kind: "join", worlds });
      }
    }
    return await this.#shared(worlds, carried);
  }

  async absent(): Promise<Crew | null> {
    const word = this.#heard ?? await this.#hear();
    this.#heard = null;
    // What it was late for is over; it may be at the same step again.
    this.#assembled = -1;
    return word.kind === "join" ? await this.#shared(word.worlds, null) : null;
  }

  async end(done: boolean): Promise<void> {
    if (done && this.#all.rank === LEADER) {
      const members = membersOf(this.#worlds.at(-1)!);
      const absent = this.#numbers.filter((rank) => !members.includes(rank));
      // Some have come, and there is nothing left that they could be taken in for.
      const isAway = (rank: number) =>
        !this.#joins.includes(rank) && this.#arrivals[this.#numbers.indexOf(rank)] < 0;
      while (absent.some(isAway)) await this.#next();
      const others = this.#numbers.filter((_, place) => place !== LEADER);
      await Promise.all(others.map((rank) => this.#tell(rank, { kind: "end" })));
    } else if (done) await this.#hear();
    // Who leaves the job is lost to those who still listen to it, so the leader has ceased to by then.
    this.#all.free();
  }

  /** The same, with those that come having what the others have. */
  async #shared(worlds: Worlds, carried: Carried | null): Promise<Crew> {
    const crew = await this.#crewOf(worlds);
    return { ...crew, carried: await share(crew.comm, worlds, carried) };
  }

  /** A communicator of the last of these worlds, made by its members alone. */
  async #crewOf(worlds: Worlds): Promise<Crew> {
    const places = membersOf(worlds.at(-1)!).map((rank) => this.#numbers.indexOf(rank));
    this.#worlds = worlds;
    return { comm: await this.#all.createGroup(places, GROUP), worlds };
  }

  /** Waits for the others, and tells those who are there who goes on. */
  async #lead(t: number, since: (rank: number) => number): Promise<Word> {
    this.#listen();
    const members = membersOf(this.#worlds.at(-1)!);
    const isThere = (rank: number) =>
      rank === this.#numbers[LEADER] || this.#arrivals[this.#numbers.indexOf(rank)] === t;
    const late = Promise.withResolvers<void>();
    let timer: Timer | undefined, isLate = false;
    const count = () => members.filter(isThere).length;
    while (count() < members.length && !isLate) {
      if (timer === undefined && 2 * count() >= members.length) {
        // After a pause of this very process what has come meanwhile is still to be read.
        const close = () => (isLate = true, late.resolve());
        timer = platform.setTimeout(
          () => timer = platform.setTimeout(close, TURN_MS),
          this.#maxWaitMs,
        );
      }
      await Promise.race([this.#next(), late.promise]);
    }
    platform.clearTimeout(timer);
    const present = members.filter(isThere), lost = members.filter((rank) => !isThere(rank));
    const joins = this.#numbers.filter((rank, place) =>
      !members.includes(rank) && this.#arrivals[place] >= 0
    );
    for (const rank of joins) this.#arrivals[this.#numbers.indexOf(rank)] = -1;
    const worlds = lost.length > 0
      ? changeWorlds(this.#worlds, present, { step: t, isDone: false, since })
      : null;
    const word: Word = { kind: "go", worlds, joins };
    for (const rank of lost) {
      this.#arrivals[this.#numbers.indexOf(rank)] = -1;
      const seconds = this.#maxWaitMs / 1000;
      this.#say(
        `left out: rank ${rank}, which had not come to the others after step ${t} within ${seconds} s`,
      );
    }
    for (const rank of present) {
      if (rank !== this.#numbers[LEADER]) await this.#tell(rank, word);
    }
    return word;
  }

  /** Says that this rank is there, and hears what becomes of it. */
  async #follow(t: number): Promise<Word> {
    await this.#all.send(Float64Array.of(t), LEADER, ARRIVAL);
    return await this.#hear();
  }

  async #tell(rank: number, word: Word): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(word));
    await sendBytes(this.#all, bytes, this.#numbers.indexOf(rank));
  }

  async #hear(): Promise<Word> {
    return JSON.parse(new TextDecoder().decode(await receiveWhole(this.#all, LEADER)));
  }

  /** Resolves when another has come; rejects if one is lost. */
  async #next(): Promise<void> {
    if (this.#lost === null) await this.#news.promise;
    if (this.#lost !== null) throw this.#lost;
  }

  /** Takes in that others are there, whenever they come. */
  #listen(): void {
    if (this.#listens) return;
    this.#listens = true;
    const hear = async (place: number) => {
      const step = new Float64Array(1);
      while (true) {
        await this.#all.recv(step, place, ARRIVAL);
        this.#arrivals[place] = step[0];
        tell();
      }
    };
    const tell = () => {
      const news = this.#news;
      this.#news = Promise.withResolvers();
      news.resolve();
    };
    for (const place of this.#arrivals.keys()) {
      if (place === LEADER) continue;
      hear(place).catch((error) => {
        this.#lost ??= error;
        tell();
      });
    }
  }
}
