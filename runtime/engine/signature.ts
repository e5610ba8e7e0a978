/**
 * What the members of a collective must agree on, and how a disagreement is put into words.
 *
 * @module
 */

import { datatypeByCode, describeCount } from "../base/datatypes.ts";
import type { Frame } from "./header.ts";
import { reductionName } from "../base/ops.ts";
import type { CollectiveCall } from "./call.ts";

/** The collectives, in the order of their numbers on the wire. */
export const COLLECTIVES = [
  "barrier",
  "bcast",
  "allreduce",
  "reduce",
  "gather",
  "gatherv",
  "scatter",
  "scatterv",
  "allgather",
  "allgatherv",
  "alltoall",
  "alltoallv",
  "reduceScatter",
  "scan",
  "exscan",
  "split",
  "dup",
  "free",
  "close",
] as const;

/** The name of a collective. */
export type CollectiveName = typeof COLLECTIVES[number];

/** What every member passed, as far as all must pass the same. */
export interface Signature {
  readonly name: CollectiveName;
  /** Number of the element type, where there is one. */
  readonly type?: number;
  /** Elements, where all members must pass as many. */
  readonly count?: number;
  /** Number of the reduction, where there is one. */
  readonly op?: number;
  /** The root, where there is one. */
  readonly root?: number;
  /** Number of an algorithm that the caller asked for. */
  readonly algorithm?: number;
  /** Segment size that the caller asked for. */
  readonly segmentBytes?: number;
}

/** Compares what `from` passed with what this rank passed; null if they agree. */
export function describeMismatch(call: CollectiveCall, from: number, frame: Frame): string | null {
  const { signature, context } = call;
  const { name, type = 0, count = 0, op = 0, root = 0, algorithm = 0, segmentBytes = 0 } =
    signature;
  const theirs = COLLECTIVES[frame.collective] ?? `operation ${frame.collective}`;
  const [me, them] = [context.name(context.rank), context.name(from)];
  if (theirs !== name) {
    return `cannot complete collective call ${call.sequence + 1}: ${them} called ${theirs}, ` +
      `${me} called ${name}`;
  }
  const typeName = (code: number) => datatypeByCode(code)?.name ?? `type ${code}`;
  if (frame.type !== type) {
    return `cannot ${name}: ${them} passed ${typeName(frame.type)} elements, ` +
      `${me} passed ${typeName(type)} elements`;
  }
  if (frame.count !== count) {
    return `cannot ${name}: ${them} passed ${describeCount(frame.count, datatypeByCode(type)!)}, ` +
      `${me} passed ${count}`;
  }
  if (frame.op !== op) {
    return `cannot ${name}: ${them} asked for ${reductionName(frame.op)}, ` +
      `${me} for ${reductionName(op)}`;
  }
  if (frame.root !== root) {
    return `cannot ${name}: ${them} named root ${frame.root}, ${me} named root ${root}`;
  }
  if (frame.flags !== algorithm) {
    return `cannot ${name}: ${them} asked for algorithm ${frame.flags}, ${me} for ${algorithm}`;
  }
  if (frame.bytes !== segmentBytes) {
    return `cannot ${name}: ${them} asked for segments of ${frame.bytes} bytes, ` +
      `${me} of ${segmentBytes}`;
  }
  return null;
}
