/**
 * Uniform agreement of some members on one value, whoever is lost meanwhile.
 *
 * The lowest member that lives leads, in each member's own view. All send it what they contribute, with
 * the proposal that they have adopted before, if any. Once it has heard from all that live, it proposes:
 * what was adopted under the highest leader before it if anything was, else what it makes of the
 * contributions. Once all that live have adopted that, it is decided, and the leader says so. A member
 * whose leader is lost turns to the next one; one that knows the decision answers with it.
 *
 * No two members decide differently, even if one of them is lost right after: before anybody decides, all
 * that live have adopted the value, so every later leader hears of it and proposes it again; and leaders
 * follow each other upwards, so the highest is the last. This is the two-phase commit of the early
 * consensus algorithms for synchronous crashes, with a leader that rotates (Guerraoui, Rodrigues:
 * Introduction to Reliable Distributed Programming, sections 5.2 and 5.3, leader by leader; ULFM's own is
 * Herault et al.: Practical Scalable Consensus for Pseudo-Synchronous Distributed Systems, SC 2015).
 * 4(N−1) messages in 4 dependent steps if nobody is lost, 4(N−1) more for each leader that is.
 *
 * It bears the loss of any members but one, at any moment, also one after the other and also of each
 * leader. It asks that messages between two members come in order or not at all, that each loss is told
 * to all that live in the end, and that who is told to be lost is heard no more: whoever is taken for lost
 * by mistake has to be ended. Without a majority's vote, the parts of a network that has fallen apart each
 * go on by themselves, unless somebody outside decides which of them lives.
 *
 * @module
 */

import type { AgreementMessage, Proposal } from "./messages.ts";

/** The members as one of them sees them. */
export interface AgreementMembers {
  /** This member, 0 ≤ rank < size. */
  readonly rank: number;
  readonly size: number;
  /** Whether a member is known to be lost. It stays so. */
  isLost(rank: number): boolean;
  /** Sends a message to another member; one that is lost gets none. */
  send(to: number, message: AgreementMessage): void;
}

/**
 * Makes one value of what members have contributed.
 *
 * @param contributions by member; of members that live all are there
 * @param lost the members that the leader knows to be lost, ascending
 */
export type Merge = (
  contributions: ReadonlyMap<number, Uint8Array>,
  lost: readonly number[],
) => Uint8Array;

/** One agreement, at one member. */
export class Agreement {
  readonly #members: AgreementMembers;
  readonly #contributions = new Map<number, Uint8Array>();
  /** Of the proposals that contributors had adopted, that of the highest leader. */
  #inherited: Proposal | null = null;
  #own: { readonly input: Uint8Array; readonly merge: Merge } | null = null;
  #adopted: Proposal | null = null;
  /** Who has adopted this member's own proposal; null before there is one. */
  #adopters: Set<number> | null = null;
  #decision: Uint8Array | null = null;
  readonly #decided = Promise.withResolvers<Uint8Array>();
  /** Whom this member has sent its contribution. */
  #leader = -1;

  constructor(members: AgreementMembers) {
    this.#members = members;
  }

  /** What was decided, or null as long as this member does not know. */
  get decision(): Uint8Array | null {
    return this.#decision;
  }

  /**
   * Takes part; called once. Until then the others wait.
   *
   * @param input what this member contributes
   * @param merge the same function at all members
   * @returns what was decided: the same bytes at all members
   */
  run(input: Uint8Array, merge: Merge): Promise<Uint8Array> {
    this.#own = { input, merge };
    this.#turn();
    return this.#decided.promise;
  }

  /** Takes in what another member says. What comes of a member that is lost is not to be handed in. */
  accept(from: number, message: AgreementMessage): void {
    if (this.#decision !== null) {
      if (message.kind === "contribution") this.#tell(from, this.#decision);
      else if (message.kind === "proposal") this.#members.send(from, { kind: "adoption" });
      return;
    }
    switch (message.kind) {
      case "contribution":
        this.#take(from, message.input, message.adopted);
        return this.#lead();
      case "proposal":
        this.#adopted = { leader: from, value: message.value };
        return this.#members.send(from, { kind: "adoption" });
      case "adoption":
        this.#adopters?.add(from);
        return this.#lead();
      case "decision":
        // Members that have lost the leader have turned to this one, perhaps before it knew of that.
        for (const member of this.#contributions.keys()) {
          if (member !== this.#members.rank) this.#tell(member, message.value);
        }
        return this.#decide(message.value);
    }
  }

  /** A member is known to be lost, as `isLost` says from now on. */
  peerLost(): void {
    if (this.#own === null) return;
    if (this.#decision === null) return this.#turn();
    // Whoever leads next may wait for this member, and not know what it knows.
    const leader = this.#lowest();
    if (leader === this.#leader) return;
    this.#leader = leader;
    if (leader !== this.#members.rank) this.#tell(leader, this.#decision);
  }

  #lowest(): number {
    const { size, isLost } = this.#members;
    for (let rank = 0; rank < size; rank++) if (!isLost(rank)) return rank;
    throw new Error("a member takes itself for lost");
  }

  /** Turns to the leader of the moment, if that is another than before. */
  #turn(): void {
    const { rank, send } = this.#members, { input } = this.#own!, leader = this.#lowest();
    if (leader !== this.#leader) {
      this.#leader = leader;
      if (leader === rank) this.#take(rank, input, this.#adopted);
      else send(leader, { kind: "contribution", input, adopted: this.#adopted });
    }
    this.#lead();
  }

  #take(from: number, input: Uint8Array, adopted: Proposal | null): void {
    this.#contributions.set(from, input);
    if (adopted !== null && adopted.leader > (this.#inherited?.leader ?? -1)) {
      this.#inherited = adopted;
    }
  }

  /** As the leader: proposes once all have contributed, decides once all have adopted. */
  #lead(): void {
    const { rank, size, isLost, send } = this.#members;
    if (this.#leader !== rank || this.#decision !== null) return;
    const others: number[] = [], lost: number[] = [];
    for (let member = 0; member < size; member++) {
      if (member !== rank) (isLost(member) ? lost : others).push(member);
    }
    if (this.#adopters === null) {
      if (!others.every((member) => this.#contributions.has(member))) return;
      const value = this.#inherited?.value ?? this.#own!.merge(this.#contributions, lost);
      this.#adopted = { leader: rank, value };
      this.#adopters = new Set();
      for (const member of others) send(member, { kind: "proposal", value });
    }
    if (!others.every((member) => this.#adopters!.has(member))) return;
    const { value } = this.#adopted!;
    for (const member of others) this.#tell(member, value);
    this.#decide(value);
  }

  #tell(to: number, value: Uint8Array): void {
    this.#members.send(to, { kind: "decision", value });
  }

  #decide(value: Uint8Array): void {
    this.#decision = value;
    this.#contributions.clear();
    this.#decided.resolve(value);
  }
}
