/** Members agree, whoever is lost, in whatever order messages and news of losses come. */

import assert from "node:assert/strict";
import { Agreement } from "../../../runtime/agreement/agreement.ts";
import {
  type AgreementMessage,
  decodeAgreement,
  encodeAgreement,
} from "../../../runtime/agreement/messages.ts";
import { Random } from "../../../runtime/base/random.ts";

/** One way that members, messages and losses may go, drawn from a seed. */
class World {
  readonly size: number;
  readonly #random: Random;
  /** What is on its way from one member to another, in order: a message, or the news of a loss. */
  readonly #channels: ({ lost: number } | AgreementMessage)[][][];
  readonly #agreements: Agreement[] = [];
  /** #lost[a][b]: a knows that b is lost. */
  readonly #lost: boolean[][];
  readonly dead: boolean[];
  readonly decisions: (number[] | null)[];
  /** How many messages members may still send before they die; Infinity for those that live. */
  readonly #left: number[];
  readonly #waiting: number[];
  /** About how many things happen before the next of these dies anyway. */
  readonly #patience: number;
  messages = 0;

  constructor(seed: number, size: number, deaths: number) {
    const random = this.#random = new Random(seed, "members"); // without a stream, seeds begin alike
    this.size = size;
    const all = Array.from({ length: size }, (_, rank) => rank);
    this.#channels = all.map(() => all.map(() => []));
    this.#lost = all.map(() => all.map(() => false));
    this.dead = all.map(() => false);
    this.decisions = all.map(() => null);
    this.#left = all.map(() => Infinity);
    for (let i = 0; i < deaths; i++) {
      // Often one who leads, which is lost in the middle of telling the others something.
      const victim = random.integer(2) === 0 ? i : random.integer(size);
      this.#left[victim] = random.integer(4 * size);
    }
    if (this.#left.every((left) => left < Infinity)) this.#left[size - 1] = Infinity;
    this.#waiting = [...all];
    this.#patience = [10, 40, 160][random.integer(3)];
    for (const rank of all) {
      this.#agreements.push(
        new Agreement({
          rank,
          size,
          isLost: (other) => this.#lost[rank][other],
          send: (to, message) => this.#send(rank, to, message),
        }),
      );
    }
  }

  #send(from: number, to: number, message: AgreementMessage): void {
    if (this.dead[from]) return;
    if (this.#left[from]-- <= 0) return this.#die(from);
    this.messages++;
    this.#channels[from][to].push(decodeAgreement(encodeAgreement(message)));
  }

  #die(rank: number): void {
    this.dead[rank] = true;
    // Each of the others sees the connection end, after what came before, which may be lost in part.
    for (let other = 0; other < this.size; other++) {
      const channel = this.#channels[rank][other];
      if (other === rank) continue;
      channel.splice(this.#random.integer(channel.length + 1));
      channel.push({ lost: rank });
    }
  }

  #start(rank: number): void {
    if (this.dead[rank]) return;
    this.#agreements[rank].run(Uint8Array.of(rank), (contributions, lost) => {
      for (let member = 0; member < this.size; member++) {
        assert(contributions.has(member) || lost.includes(member), `${member} is missing`);
      }
      return Uint8Array.of(...[...contributions.keys()].sort());
    });
  }

  #learn(rank: number, lost: number): void {
    if (this.#lost[rank][lost]) return;
    this.#lost[rank][lost] = true;
    this.#agreements[rank].peerLost();
    if (this.dead[rank]) return;
    for (let other = 0; other < this.size; other++) {
      if (other !== rank && other !== lost) this.#channels[rank][other].push({ lost });
    }
  }

  /** Does one of the things that can happen; false if there is none. */
  step(): boolean {
    const random = this.#random, choices: (() => void)[] = [];
    for (const rank of this.#waiting) {
      choices.push(() => {
        this.#waiting.splice(this.#waiting.indexOf(rank), 1);
        this.#start(rank);
      });
    }
    for (let from = 0; from < this.size; from++) {
      for (let to = 0; to < this.size; to++) {
        const channel = this.#channels[from][to];
        if (channel.length === 0) continue;
        choices.push(() => {
          const item = channel.shift()!;
          if (this.dead[to]) return;
          if ("lost" in item) this.#learn(to, item.lost);
          else if (!this.#lost[to][from]) this.#agreements[to].accept(from, item);
        });
      }
    }
    if (choices.length === 0) return false;
    const doomed = this.dead.flatMap((dead, rank) =>
      !dead && this.#left[rank] < Infinity ? rank : []
    );
    if (doomed.length > 0 && random.integer(this.#patience) === 0) this.#die(doomed[0]);
    else choices[random.integer(choices.length)]();
    for (const [rank, { decision }] of this.#agreements.entries()) {
      if (decision !== null) this.decisions[rank] ??= [...decision];
    }
    return true;
  }
}

/** Runs a world to its end and checks what holds of every one. */
function check(seed: number, size: number, deaths: number): World {
  const world = new World(seed, size, deaths);
  while (world.step());
  const where = `seed ${seed}, ${size} members, ${deaths} losses`;
  const decided = world.decisions.filter((decision) => decision !== null);
  for (const decision of decided) assert.deepEqual(decision, decided[0], where);
  for (const [rank, decision] of world.decisions.entries()) {
    if (world.dead[rank]) continue;
    assert(decision !== null, `${where}: member ${rank} waits for ever`);
    assert(decision.includes(rank), `${where}: member ${rank} has not been heard`);
  }
  return world;
}

Deno.test("members agree on what all have contributed, in 4(N−1) messages", () => {
  for (let seed = 0; seed < 100; seed++) {
    for (const size of [1, 2, 3, 5]) {
      const world = check(seed, size, 0);
      assert.equal(world.messages, 4 * (size - 1));
      for (const decision of world.decisions) assert.equal(decision?.length, size);
    }
  }
});

for (const deaths of [1, 2, 3]) {
  Deno.test(`all that live decide the same as any that is lost, with ${deaths} losses`, () => {
    let died = 0, afterDecision = 0;
    for (let seed = 0; seed < 4000; seed++) {
      const world = check(seed, 2 + seed % 5, deaths);
      if (world.dead.includes(true)) died++;
      if (world.dead.some((dead, rank) => dead && world.decisions[rank] !== null)) afterDecision++;
    }
    assert(died > 1500, `only ${died} worlds lose anybody`);
    assert(afterDecision > 20, `only ${afterDecision} worlds lose one that has decided`);
  });
}

Deno.test("what is no message of an agreement is refused", () => {
  assert.throws(() => decodeAgreement({ step: 5, payload: new Uint8Array() }), /step is 0 to 4/);
  assert.throws(() => decodeAgreement({ step: 0, payload: new Uint8Array(3) }));
});
