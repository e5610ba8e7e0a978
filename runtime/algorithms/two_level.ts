import { bytesOf, elementsOf, joined, type TypedArray } from "../base/datatypes.ts";
import type { CollectiveCall } from "../engine/call.ts";
import { SEGMENT_BYTES } from "../engine/tuning.ts";
import { BLOCK, encodePartial, sumPartials } from "../reduction/exact_partials.ts";
import { foldInputs } from "../reduction/reduction.ts";
import type { Range } from "./partition.ts";
import { type HostSegment, hostSegments, orderOf, ownedSegments } from "./_two_level_segments.ts";
import { LocalSlots, type Shown } from "./_local_slots.ts";
import { BytesPool } from "./_bytes_pool.ts";
import { EMPTY } from "./blocks.ts";
import type { ReductionArguments } from "./reduction_arguments.ts";

/** What the frames of a segment are numbered by: its index, and what they hold. */
const INPUT = 0, PARTIAL = 1, REPLY = 2, RAW = 3, TO_ROOT = 4, INPUT_READ = 5, REPLY_READ = 6;
const KINDS = 7;

/** Scratch memory of this rank. */
const scratch = new BytesPool();

/** How a large reduction is carried out on several hosts. */
export interface TwoLevelOptions {
  /** Longest segment in bytes. @default {SEGMENT_BYTES} */
  readonly segmentBytes?: number;
  /** The only rank that gets the result. @default {all get it} */
  readonly root?: number;
  /**
   * The elements that each rank owns, and alone gets the result of; `into` says where this rank wants that
   * of a segment. Inputs stay as they are. @default {all are divided equally, all get the result in place}
   */
  readonly owned?: { readonly chunks: readonly Range[]; into(segment: Range): Uint8Array };
  /** Asked on rank 0, once all have come: what to do, which all are told; not this reduction if 0. */
  readonly decide?: () => number;
}

/**
 * A reduction between ranks on several hosts, with as few bytes between these as there are: a
 * reduce-scatter within each host, one between hosts, an allgather between hosts, one within each host.
 *
 * Every segment of the buffer has one owner, and on every other host a delegate. A delegate reduces the
 * inputs of its host and sends the owner what came of it; the owner reduces that, and the delegates pass
 * the result on. Owners and delegates are spread over all ranks, so every rank carries its share between
 * the hosts, over a connection of its own.
 *
 * The bits are those of a fold in the order of ranks, on whatever hosts they are. What any order of
 * reduction leaves the same (integers, minima, maxima) is reduced within a host; sums of float32 go
 * between hosts as exact partial sums, and where the order shows after all, the owner asks for the
 * inputs of the few blocks in question; all else goes between hosts as it is, once for each rank.
 *
 * @returns what was decided; if it is 0 nothing has been done
 */
export async function twoLevelReduction(
  call: CollectiveCall,
  reduction: ReductionArguments,
  { segmentBytes = SEGMENT_BYTES, root, owned, decide = () => 1 }: TwoLevelOptions = {},
): Promise<number> {
  const { rank, hosts } = call.group, { type, fold, count } = reduction;
  const unit = fold.partials === "exact" ? BLOCK : fold.width;
  const most = Math.max(1, Math.floor(segmentBytes / type.bytes / unit)) * unit;
  const host = hosts.findIndex((ranks) => ranks.includes(rank));
  const longest = Math.min(most, count) * type.bytes;
  const reserved = await LocalSlots.reserve(call, hosts[host], longest);
  try {
    const answer = await call.exchange(
      Uint8Array.of(reserved === null ? 0 : 1),
      (all) => Uint8Array.of(decide(), ...all.map(([one]) => one)),
    );
    const [decision, ...isReserved] = answer;
    if (decision === 0) return decision;
    // All ranks of the host, or none.
    const slots = hosts[host].every((local) => isReserved[local] === 1) ? reserved : null;
    const divided = owned === undefined
      ? hostSegments(count, hosts, fold.width, most)
      : ownedSegments(owned.chunks, hosts, most);
    const list = orderOf(divided, host, hosts.length);
    const place = { call, reduction, host, slots, root, into: owned?.into };
    await Promise.all(list.map((segment) => new Part(place, segment).run()));
    return decision;
  } finally {
    reserved?.release();
  }
}

/** What all parts of a call on one rank have in common. */
interface Place {
  readonly call: CollectiveCall;
  readonly reduction: ReductionArguments;
  /** This rank's host. */
  readonly host: number;
  /** The memory of its ranks, if they use it. */
  readonly slots: LocalSlots | null;
  readonly root: number | undefined;
  /** Where owners put what they alone are to have. */
  readonly into: ((segment: Range) => Uint8Array) | undefined;
}

/** What one rank does for one segment. */
class Part {
  readonly #call: CollectiveCall;
  readonly #slots: LocalSlots | null;
  readonly #reduction: ReductionArguments;
  readonly #segment: HostSegment;
  readonly #root: number | undefined;
  readonly #rank: number;
  /** The ranks of this host. */
  readonly #local: readonly number[];
  readonly #delegate: number;
  readonly #owner: number;
  /** This rank's elements of the segment. */
  readonly #own: Uint8Array;
  /** Where an owner who is to have the result puts it. */
  readonly #out: Uint8Array;
  /** What the owner, or the delegate of this host, has to say: the result, or what it wants to know. */
  #reply: Promise<Uint8Array> | null = null;
  readonly #result: Promise<Uint8Array> | null = null;

  constructor({ call, reduction, host, slots, root, into }: Place, segment: HostSegment) {
    const { rank, hosts } = call.group, { type, bytes } = reduction;
    this.#call = call;
    this.#slots = slots;
    this.#reduction = reduction;
    this.#segment = segment;
    this.#rank = rank;
    this.#local = hosts[host];
    this.#delegate = segment.delegates[host];
    this.#owner = segment.delegates[segment.host];
    this.#root = into === undefined ? root : this.#owner;
    this.#own = bytes.subarray(segment.start * type.bytes, segment.end * type.bytes);
    this.#out = into !== undefined && rank === this.#owner ? into(segment) : this.#own;
    if (rank !== this.#owner) this.#awaitReply();
    if (rank === this.#root && rank !== this.#owner) {
      this.#result = call.receive(this.#owner, this.#number(TO_ROOT), this.#own);
    }
  }

  #number(kind: number): number {
    return this.#segment.index * KINDS + kind;
  }

  #send(to: number, kind: number, payload: Uint8Array): Promise<void> {
    return this.#call.send(to, this.#number(kind), payload);
  }

  #receive(from: number, kind: number): Promise<Uint8Array> {
    return this.#call.receiveAny(from, this.#number(kind));
  }

  get #neighbours(): number[] {
    return this.#local.filter((rank) => rank !== this.#rank);
  }

  #typed(bytes: Uint8Array): TypedArray {
    return elementsOf(this.#reduction.type, bytes);
  }

  #awaitReply(): void {
    // Those who get no result are told only that no more is wanted of them.
    if (this.#root !== undefined && this.#reduction.fold.partials !== "exact") this.#reply = null;
    else if (this.#rank === this.#delegate) {
      const into = this.#root === undefined ? this.#own : EMPTY;
      this.#reply = this.#call.receiveOrOther(this.#owner, this.#number(REPLY), into);
    } else this.#reply = this.#replyNearby();
    this.#reply?.catch(() => {}); // whoever is to wait for it may already have failed elsewhere
  }

  /** The reply of this host's delegate. */
  async #replyNearby(): Promise<Uint8Array> {
    const from = this.#delegate, number = this.#number(REPLY);
    if (this.#root !== undefined) return await this.#receive(from, REPLY);
    if (this.#slots === null) return await this.#call.receiveOrOther(from, number, this.#own);
    const reply = await this.#receive(from, REPLY);
    if (this.#isRequest(reply)) return reply;
    const { bytes, release } = this.#slots.shown(from, this.#number(REPLY_READ), reply);
    this.#own.set(bytes);
    await release();
    return this.#own;
  }

  #isRequest(reply: Uint8Array): boolean {
    return this.#reduction.fold.partials === "exact" && isRequest(reply);
  }

  async run(): Promise<void> {
    if (this.#rank === this.#owner) await this.#reduce();
    else if (this.#rank === this.#delegate) await this.#speakForHost();
    else {
      await this.#tell([this.#delegate], INPUT, INPUT_READ, this.#own);
      await this.#settle();
    }
    await this.#result;
  }

  /** Sends something to ranks of this host, by the way that they have. */
  async #tell(
    to: readonly number[],
    kind: number,
    answer: number,
    payload: Uint8Array,
  ): Promise<void> {
    if (this.#slots === null) await Promise.all(to.map((rank) => this.#send(rank, kind, payload)));
    else await this.#slots.show(to, this.#number(kind), this.#number(answer), payload);
  }

  /** The inputs of this host, in the order of ranks. */
  #inputs(): Promise<Shown[]> {
    return Promise.all(this.#local.map(async (rank) => {
      if (rank === this.#rank) return { bytes: this.#own, release: nothing };
      const bytes = await this.#receive(rank, INPUT);
      if (this.#slots === null) return { bytes, release: nothing };
      const shown = this.#slots.shown(rank, this.#number(INPUT_READ), bytes);
      if (this.#rank !== this.#owner) return shown;
      // An owner waits for other hosts: nobody may have to wait for that.
      const kept = scratch.take(shown.bytes.length);
      kept.set(shown.bytes);
      await shown.release();
      return { bytes: kept, release: () => Promise.resolve(scratch.giveBack(kept)) };
    }));
  }

  async #speakForHost(): Promise<void> {
    const shown = await this.#inputs();
    const { bytes, release } = this.#partialOf(shown.map(({ bytes }) => this.#typed(bytes)));
    const read = shown.map(({ release }) => release());
    await Promise.all([...read, this.#send(this.#owner, PARTIAL, bytes)]);
    await release();
    await this.#settle();
    if (this.#root !== undefined) return;
    await this.#tell(this.#neighbours, REPLY, REPLY_READ, this.#own);
  }

  /** What this host sends the owner; of a single rank its input. */
  #partialOf(inputs: readonly TypedArray[]): Shown {
    const { type, fold } = this.#reduction;
    if (inputs.length === 1) return { bytes: this.#own, release: nothing };
    switch (fold.partials) {
      case "exact": {
        const bytes = encodePartial(inputs as Float32Array[], (length) => scratch.take(length));
        return { bytes, release: () => Promise.resolve(scratch.giveBack(bytes)) };
      }
      case "reduced": {
        const out = new type.array(inputs[0].length);
        foldInputs(fold, inputs, out);
        return { bytes: bytesOf(out), release: nothing };
      }
      case "none":
        return { bytes: joined(inputs.map(bytesOf)), release: nothing };
    }
  }

  /** Waits for the result, or for the word that there is none here; answers questions before it. */
  async #settle(): Promise<void> {
    while (this.#reply !== null) {
      const reply = await this.#reply;
      if (!this.#isRequest(reply)) break;
      this.#awaitReply();
      await this.#answer(reply);
    }
    if (this.#root === undefined || this.#rank !== this.#delegate || this.#reply === null) return;
    await Promise.all(this.#neighbours.map((rank) => this.#send(rank, REPLY, EMPTY)));
  }

  /** Sends what the blocks of a request are on this rank, and as a delegate on its whole host. */
  async #answer(request: Uint8Array): Promise<void> {
    const own = joined(blocksOf(request).map((block) => this.#blockOf(this.#own, block)));
    if (this.#rank !== this.#delegate) return await this.#send(this.#delegate, RAW, own);
    const asking = this.#neighbours.map((rank) => this.#send(rank, REPLY, request));
    const answers = await Promise.all(
      this.#local.map((rank) => rank === this.#rank ? own : this.#receive(rank, RAW)),
    );
    await Promise.all([...asking, this.#send(this.#owner, RAW, joined(answers))]);
  }

  #blockOf(bytes: Uint8Array, block: number): Uint8Array {
    const size = BLOCK * this.#reduction.type.bytes;
    return bytes.subarray(block * size, (block + 1) * size);
  }

  /** Reduces the segment, as its owner, and tells all who want to know. */
  async #reduce(): Promise<void> {
    const { hosts } = this.#call.group, { delegates, host } = this.#segment;
    const others = hosts.flatMap((ranks, h) =>
      h === host ? [] : [{ ranks, delegate: delegates[h] }]
    );
    const take = (length: number) => scratch.take(length);
    const arriving = others.map(({ delegate }) =>
      this.#call.receiveAny(delegate, this.#number(PARTIAL), take)
    );
    const near = await this.#inputs(), inputs = near.map(({ bytes }) => this.#typed(bytes));
    const partials = await Promise.all(arriving);
    const isForMe = this.#root === undefined || this.#root === this.#rank;
    const out = isForMe ? this.#typed(this.#out) : this.#typed(this.#own).slice();
    await this.#fold(inputs, others.map((other, i) => ({ ...other, bytes: partials[i] })), out);
    for (const { release } of near) await release();
    for (const partial of partials) scratch.giveBack(partial);
    const result = bytesOf(out);
    if (this.#root === undefined) {
      const far = others.map(({ delegate }) => this.#send(delegate, REPLY, result));
      await Promise.all([...far, this.#tell(this.#neighbours, REPLY, REPLY_READ, result)]);
      return;
    }
    const told = this.#reduction.fold.partials === "exact"
      ? [...others.map(({ delegate }) => delegate), ...this.#neighbours]
      : [];
    await Promise.all([
      ...told.map((rank) => this.#send(rank, REPLY, EMPTY)),
      ...isForMe ? [] : [this.#send(this.#root, TO_ROOT, result)],
    ]);
  }

  async #fold(
    inputs: readonly TypedArray[],
    others: readonly OtherHost[],
    out: TypedArray,
  ): Promise<void> {
    const { fold } = this.#reduction;
    switch (fold.partials) {
      case "reduced":
        return foldInputs(fold, [...inputs, ...others.map(({ bytes }) => this.#typed(bytes))], out);
      case "none":
        return foldInputs(fold, this.#inOrder(inputs.map(bytesOf), others), out);
      case "exact": {
        const partials = others.map(({ bytes, ranks }) => ({ bytes, ranks: ranks.length }));
        const blocks = sumPartials(inputs as Float32Array[], partials, out as Float32Array);
        if (blocks.length > 0) await this.#foldInOrder(blocks, inputs, others, out);
      }
    }
  }

  /** Asks for the inputs of some blocks, and folds them in the order of ranks. */
  async #foldInOrder(
    blocks: readonly number[],
    inputs: readonly TypedArray[],
    others: readonly OtherHost[],
    out: TypedArray,
  ): Promise<void> {
    const request = requestFor(blocks);
    const asking = others.map(({ delegate }) => this.#send(delegate, REPLY, request));
    const answers = await Promise.all(others.map(({ delegate }) => this.#receive(delegate, RAW)));
    await Promise.all(asking);
    const own = inputs.map((input) =>
      joined(blocks.map((block) => this.#blockOf(bytesOf(input), block)))
    );
    const all = this.#inOrder(own, others.map((other, i) => ({ ...other, bytes: answers[i] })));
    const folded = this.#typed(new Uint8Array(own[0].length));
    foldInputs(this.#reduction.fold, all, folded);
    let at = 0;
    for (const block of blocks) {
      const target = this.#blockOf(bytesOf(out), block);
      target.set(bytesOf(folded).subarray(at, at + target.length));
      at += target.length;
    }
  }

  /** All ranks' inputs, in their order, from those of each host one behind the other. */
  #inOrder(own: readonly Uint8Array[], others: readonly OtherHost[]): TypedArray[] {
    const all: TypedArray[] = new Array(this.#call.group.size), { length } = own[0];
    this.#local.forEach((rank, k) => all[rank] = this.#typed(own[k]));
    for (const { ranks, bytes } of others) {
      ranks.forEach((rank, k) =>
        all[rank] = this.#typed(bytes.subarray(k * length, (k + 1) * length))
      );
    }
    return all;
  }
}

/** Another host: its ranks, who speaks for them, and what it has sent. */
interface OtherHost {
  readonly ranks: readonly number[];
  readonly delegate: number;
  readonly bytes: Uint8Array;
}

const nothing = async () => {};

/** The numbers of blocks, and a byte by which a request is told from floats: it is no multiple of 4 long. */
function requestFor(blocks: readonly number[]): Uint8Array {
  const request = new Uint8Array(4 * blocks.length + 1);
  new Uint32Array(request.buffer, 0, blocks.length).set(blocks);
  return request;
}

const isRequest = (reply: Uint8Array) => reply.length % 4 === 1;

const blocksOf = (request: Uint8Array) => [
  ...new Uint32Array(request.buffer, request.byteOffset, request.length >> 2),
];
