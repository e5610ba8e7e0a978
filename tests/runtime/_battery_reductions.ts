/** Reductions on every element type, with every op, every algorithm and a caller's own ops. */

import {
  type AllreduceAlgorithm,
  type Communicator,
  createOp,
  type OpName,
  type TypedArray,
} from "../../runtime/mod.ts";
import type { Check } from "./_check.ts";
import { filled, guarded, inside, isFloat, MAKERS, reduced, sameBits } from "./_values.ts";

const OPS: OpName[] = ["sum", "prod", "min", "max", "land", "lor", "band", "bor", "bxor"];
const ALGORITHMS: AllreduceAlgorithm[] = ["auto", "tree", "allgather", "direct", "ring", "memory"];
/** Elements: none, one, primes, multiples of the ranks and not, inside one tree exchange and beyond it. */
const LENGTHS = [0, 1, 7, 97, 240, 241, 8209, 50_021];

/** allreduce of a short and a long buffer for every element type and op. */
async function everyTypeAndOp(comm: Communicator): Promise<void> {
  for (const make of MAKERS) {
    for (const op of OPS) {
      if (isFloat(make) && op.startsWith("b")) continue;
      for (const length of op === "sum" ? [37, 9001] : [37]) {
        const buffer = inside(make, filled(make, comm.rank, length));
        await comm.allreduce(buffer, op, length > 37 ? { algorithm: "direct" } : undefined);
        sameBits(`allreduce ${op} of ${make}`, buffer, reduced(make, comm.size, length, op));
        guarded(buffer);
      }
    }
  }
}

/** All algorithms and segment sizes give the bits of the plain loop. */
async function everyAlgorithm(comm: Communicator): Promise<void> {
  for (const make of [Float32Array, Int16Array]) {
    for (const length of LENGTHS) {
      const expected = reduced(make, comm.size, length, "sum");
      const mine = filled(make, comm.rank, length);
      for (const algorithm of ALGORITHMS) {
        for (const segmentBytes of length < 1000 ? [16, undefined] : [4096, undefined]) {
          const buffer = inside(make, mine);
          await comm.allreduce(buffer, "sum", { algorithm, segmentBytes });
          sameBits(`${algorithm} in segments of ${segmentBytes}`, buffer, expected);
          guarded(buffer);
        }
      }
    }
  }
}

/** A caller's ops: associative and not commutative, on elements and on groups of them. */
async function usersOps(comm: Communicator): Promise<void> {
  const { rank, size } = comm;
  // Composition of affine maps x → ax + b modulo 2³²: associative, and depends on the order.
  const compose = createOp((f: Uint32Array, g: Uint32Array) => {
    f[1] = Math.imul(g[0], f[1]) + g[1];
    f[0] = Math.imul(g[0], f[0]);
  }, { width: 2 });
  const maps = (of: number, length: number) =>
    Uint32Array.from({ length }, (_, i) => (of * 2654435761 + i * 40503) | 1);
  const composed = (ranks: number, length: number) => {
    const whole = maps(0, length);
    for (let r = 1; r < ranks; r++) {
      compose.fold(whole as TypedArray, maps(r, length) as TypedArray);
    }
    return whole;
  };
  for (const length of [2, 34, 20_002]) {
    for (const algorithm of ALGORITHMS) {
      const buffer = maps(rank, length);
      await comm.allreduce(buffer, compose, { algorithm, segmentBytes: 1000 });
      sameBits(`composition by ${algorithm}`, buffer, composed(size, length));
    }
    const prefix = maps(rank, length);
    await comm.scan(prefix, compose);
    sameBits("prefix of compositions", prefix, composed(rank + 1, length));
  }
  const last = Int32Array.of(rank * 10, rank);
  await comm.allreduce(last, (_a: number, b: number) => b);
  sameBits("last of all", last, Int32Array.of((size - 1) * 10, size - 1));
}

/** What an allreduce does with ops, element types and algorithms. */
export const REDUCTIONS: readonly Check[] = [
  { name: "allreduce with every op on every element type", run: everyTypeAndOp },
  { name: "allreduce by every algorithm, in segments of every size", run: everyAlgorithm },
  { name: "a caller's own ops", run: usersOps },
];
