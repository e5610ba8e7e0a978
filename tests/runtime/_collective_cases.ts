/**
 * The arguments of every collective call, and what must come of them. Values are unique to rank, peer and
 * element; buffers lie inside larger ones.
 */

import type { Communicator, TypedArray } from "../../runtime/mod.ts";
import { filled, guarded, inside, madeOnce, type Maker, reduced, sameBits } from "./_values.ts";

/** The calls that have a non-blocking form, those of messages apart: the compiler misses none. */
export type Call = Exclude<
  {
    [K in keyof Communicator & string]: `i${K}` extends keyof Communicator ? K : never;
  }[keyof Communicator & string],
  "send" | "recv" | "probe"
>;

/** What one call is made with. */
export interface Shape {
  readonly comm: Communicator;
  readonly make: Maker;
  /** Elements of a block; the vector forms derive blocks of several lengths from it. */
  readonly length: number;
  readonly root: number;
  /** Elements between the blocks of the vector forms; 0: without displacements. */
  readonly gap: number;
}

/** The arguments of one rank, and what must have come of them. */
export interface Prepared {
  readonly args: readonly unknown[];
  check(): void;
  /** What must be in a buffer afterwards. */
  after(buffer: TypedArray): TypedArray;
}

/** What is to be known of a call. */
export interface CallCase {
  readonly prepare: (shape: Shape) => Prepared;
  /** Whether one rank is the root. */
  readonly rooted?: boolean;
  /** Whether blocks may differ in length. */
  readonly vector?: boolean;
  /** Whether elements are reduced. */
  readonly reduces?: boolean;
  /** Two buffers of different types, refused on every rank before anything is sent; absent: there is one. */
  readonly wrong?: (comm: Communicator, right: TypedArray, wrong: TypedArray) => unknown[];
}

/** The block that rank `from` sends to rank `to`. */
const block = madeOnce((make: Maker, from: number, to: number, length: number): TypedArray =>
  filled(make, from * 31 + to, length)
);

function joined(make: Maker, blocks: readonly TypedArray[]): TypedArray {
  return spread(make, blocks, startsOf(blocks.map(({ length }) => length), 0));
}

/** Where blocks start that lie `gap` elements apart. */
function startsOf(counts: readonly number[], gap: number): number[] {
  let end = gap > 0 ? 1 : 0;
  return counts.map((count) => (end += count + gap) - count - gap);
}

/** The blocks at their places, zeros around them. */
function spread(make: Maker, blocks: readonly TypedArray[], starts: readonly number[]): TypedArray {
  const whole = new make(Math.max(0, ...blocks.map(({ length }, i) => starts[i] + length)));
  blocks.forEach((part, i) => whole.set(part, starts[i]));
  return whole;
}

/** Elements that rank `from` has for rank `to` in a vector form: many lengths, some of them 0. */
function countOf(from: number, to: number, length: number): number {
  return length === 0 ? 0 : ((from * 5 + to * 3) % 4) * length + from;
}

/** Buffers inside larger ones, and a look at all of them afterwards. */
class Views {
  readonly #expected: [what: string, view: TypedArray, content: TypedArray][] = [];

  constructor(readonly make: Maker) {}

  /** A buffer that no call may change. */
  source(content: TypedArray): TypedArray {
    return this.changing(content, content, "what was sent");
  }

  /** An empty buffer and what must be in it. */
  target(content: TypedArray): TypedArray {
    return this.changing(new this.make(content.length), content, "what was received");
  }

  changing(before: TypedArray, after: TypedArray, what = "the buffer"): TypedArray {
    const view = inside(this.make, before);
    this.#expected.push([what, view, after]);
    return view;
  }

  prepared(...args: unknown[]): Prepared {
    return {
      args,
      after: (buffer) => this.#expected.find(([, view]) => view === buffer)![2],
      check: () => {
        for (const [what, view, content] of this.#expected) {
          sameBits(what, view, content);
          guarded(view);
        }
      },
    };
  }
}

const ranksOf = ({ size }: Communicator) => Array.from({ length: size }, (_, rank) => rank);

/** A vector form's blocks of one root, or of all: counts, displacements and the whole. */
function layout({ comm, make, length, gap }: Shape) {
  const counts = ranksOf(comm).map((rank) => countOf(rank, 1, length));
  const blocks = counts.map((count, rank) => block(make, rank, 1, count));
  const starts = startsOf(counts, gap);
  return {
    counts,
    blocks,
    displacements: gap > 0 ? starts : undefined,
    whole: spread(make, blocks, starts),
  };
}

/** A call that reduces in place: what the buffer holds afterwards. */
function reducing(after: (shape: Shape, source: TypedArray) => TypedArray) {
  return (shape: Shape): Prepared => {
    const { comm, make, length, root } = shape, views = new Views(make);
    const source = filled(make, comm.rank, length);
    const buffer = views.changing(source, after(shape, source));
    return views.prepared(buffer, "sum", ...root > 0 ? [root] : []);
  };
}

/** The sum of the buffers of the first ranks. */
function sumOf(make: Maker, ranks: number, length: number): TypedArray {
  return reduced(make, ranks, length, "sum");
}

/** Every call. */
export const CALLS: Record<Call, CallCase> = {
  barrier: { prepare: ({ make }) => new Views(make).prepared() },
  bcast: {
    rooted: true,
    prepare({ comm: { rank }, make, length, root }) {
      const views = new Views(make), content = block(make, root, 5, length);
      const before = rank === root ? content : new make(length);
      return views.prepared(views.changing(before, content), root);
    },
  },
  reduce: {
    rooted: true,
    reduces: true,
    prepare: reducing(({ comm, make, length, root }, source) =>
      comm.rank === root ? sumOf(make, comm.size, length) : source
    ),
  },
  allreduce: {
    reduces: true,
    prepare: reducing(({ comm, make, length }) => sumOf(make, comm.size, length)),
  },
  scan: {
    reduces: true,
    prepare: reducing(({ comm, make, length }) => sumOf(make, comm.rank + 1, length)),
  },
  exscan: {
    reduces: true,
    prepare: reducing(({ comm, make, length }, source) =>
      comm.rank === 0 ? source : sumOf(make, comm.rank, length)
    ),
  },
  reduceScatter: {
    reduces: true,
    wrong: (comm, right, wrong) => [new (right.constructor as Maker)(comm.size), wrong],
    prepare({ comm: { rank, size }, make, length }) {
      // Blocks of unequal lengths: the first ranks get one element more, the last what is left.
      const from = Math.ceil(length * rank / size), to = Math.ceil(length * (rank + 1) / size);
      const views = new Views(make);
      const send = views.source(filled(make, rank, length));
      return views.prepared(send, views.target(sumOf(make, size, length).slice(from, to)));
    },
  },
  gather: {
    rooted: true,
    wrong: (comm, right, wrong) => [right, new (wrong.constructor as Maker)(comm.size), comm.rank],
    prepare({ comm, make, length, root }) {
      const views = new Views(make), blocks = ranksOf(comm).map((r) => block(make, r, 0, length));
      const recv = comm.rank === root ? views.target(joined(make, blocks)) : null;
      return views.prepared(views.source(blocks[comm.rank]), recv, root);
    },
  },
  gatherv: {
    rooted: true,
    vector: true,
    wrong: (comm, right, wrong) => [
      right,
      new (wrong.constructor as Maker)(comm.size),
      ranksOf(comm).map(() => 1),
      comm.rank,
    ],
    prepare(shape) {
      const { comm: { rank }, make, root } = shape, views = new Views(make);
      const { blocks, counts, displacements, whole } = layout(shape), send = blocks[rank];
      return rank === root
        ? views.prepared(views.source(send), views.target(whole), counts, root, displacements)
        : views.prepared(views.source(send), null, null, root);
    },
  },
  scatter: {
    rooted: true,
    wrong: (comm, right, wrong) => [new (wrong.constructor as Maker)(comm.size), right, comm.rank],
    prepare({ comm, make, length, root }) {
      const views = new Views(make);
      const blocks = ranksOf(comm).map((to) => block(make, root, to, length));
      const send = comm.rank === root ? views.source(joined(make, blocks)) : null;
      return views.prepared(send, views.target(blocks[comm.rank]), root);
    },
  },
  scatterv: {
    rooted: true,
    vector: true,
    wrong: (comm, right, wrong) => [
      new (wrong.constructor as Maker)(comm.size),
      ranksOf(comm).map(() => 1),
      right,
      comm.rank,
    ],
    prepare(shape) {
      const { comm: { rank }, make, root } = shape, views = new Views(make);
      const { blocks, counts, displacements, whole } = layout(shape), recv = blocks[rank];
      return rank === root
        ? views.prepared(views.source(whole), counts, views.target(recv), root, displacements)
        : views.prepared(null, null, views.target(recv), root);
    },
  },
  allgather: {
    wrong: (comm, right, wrong) => [right, new (wrong.constructor as Maker)(comm.size)],
    prepare({ comm, make, length }) {
      const views = new Views(make), blocks = ranksOf(comm).map((r) => block(make, r, 0, length));
      return views.prepared(
        views.source(blocks[comm.rank]),
        views.target(joined(make, blocks)),
      );
    },
  },
  allgatherv: {
    vector: true,
    wrong: (comm, right, wrong) => [
      right,
      new (wrong.constructor as Maker)(comm.size),
      ranksOf(comm).map(() => 1),
    ],
    prepare(shape) {
      const views = new Views(shape.make), { blocks, counts, displacements, whole } = layout(shape);
      const send = views.source(blocks[shape.comm.rank]);
      return views.prepared(send, views.target(whole), counts, displacements);
    },
  },
  alltoall: {
    wrong: (comm, right, wrong) => [
      new (right.constructor as Maker)(comm.size),
      new (wrong.constructor as Maker)(comm.size),
    ],
    prepare({ comm, make, length }) {
      const views = new Views(make), { rank } = comm, ranks = ranksOf(comm);
      return views.prepared(
        views.source(joined(make, ranks.map((to) => block(make, rank, to, length)))),
        views.target(joined(make, ranks.map((from) => block(make, from, rank, length)))),
      );
    },
  },
  alltoallv: {
    vector: true,
    wrong: (comm, right, wrong) => {
      const ones = ranksOf(comm).map(() => 1);
      return [
        new (right.constructor as Maker)(comm.size),
        ones,
        new (wrong.constructor as Maker)(comm.size),
        ones,
      ];
    },
    prepare({ comm, make, length, gap }) {
      const views = new Views(make), { rank } = comm, ranks = ranksOf(comm);
      const outgoing = ranks.map((to) => block(make, rank, to, countOf(rank, to, length)));
      const incoming = ranks.map((from) => block(make, from, rank, countOf(from, rank, length)));
      const sendCounts = outgoing.map((part) => part.length), sendAt = startsOf(sendCounts, gap);
      const recvCounts = incoming.map((part) => part.length), recvAt = startsOf(recvCounts, gap);
      return views.prepared(
        views.source(spread(make, outgoing, sendAt)),
        sendCounts,
        views.target(spread(make, incoming, recvAt)),
        recvCounts,
        ...gap > 0 ? [sendAt, recvAt] : [],
      );
    },
  },
};
