/**
 * What the members of a collective must agree on, and how a disagreement is put into words.
 *
 * @module
 */

import { datatypeByCode, describeCount } from "../base/datatypes.ts";
import { reductionName } from "../base/ops.ts";
import { codecName } from "../compression/registry.ts";
import type { Group } from "./group.ts";
import type { SignatureCodes } from "./header.ts";

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
  /** Number of the codec that the caller asked for. */
  readonly compression?: number;
  /** Elements that travel beside the others, not compressed. */
  readonly exact?: number;
}

/** A signature as numbers. */
export function codesOf(signature: Signature): SignatureCodes {
  const { name, type = 0, count = 0, op = 0, root = 0 } = signature;
  const { algorithm = 0, segmentBytes = 0, compression = 0, exact = 0 } = signature;
  const collective = COLLECTIVES.indexOf(name);
  return { collective, type, count, op, root, algorithm, segmentBytes, compression, exact };
}

/** What this rank passed to which call. */
interface OwnCall {
  readonly group: Pick<Group, "rank" | "name">;
  /** Place among the collective calls of the communicator. */
  readonly sequence: number;
  readonly codes: SignatureCodes;
}

/** Compares what `from` passed with what this rank passed; null if they agree. */
export function describeMismatch(
  { group, sequence, codes: mine }: OwnCall,
  from: number,
  theirs: SignatureCodes,
): string | null {
  if (
    theirs.collective === mine.collective && theirs.type === mine.type &&
    theirs.count === mine.count && theirs.op === mine.op && theirs.root === mine.root &&
    theirs.algorithm === mine.algorithm && theirs.segmentBytes === mine.segmentBytes &&
    theirs.compression === mine.compression && theirs.exact === mine.exact
  ) return null;
  const nameOf = (code: number) => COLLECTIVES[code] ?? `operation ${code}`;
  const name = nameOf(mine.collective);
  const me = group.name(group.rank), them = group.name(from);
  if (theirs.collective !== mine.collective) {
    return `cannot complete collective call ${sequence + 1}: ${them} called ` +
      `${nameOf(theirs.collective)}, ${me} called ${name}`;
  }
  const typeName = (code: number) => datatypeByCode(code)?.name ?? `type ${code}`;
  if (theirs.type !== mine.type) {
    return `cannot ${name}: ${them} passed ${typeName(theirs.type)} elements, ` +
      `${me} passed ${typeName(mine.type)} elements`;
  }
  if (theirs.count !== mine.count) {
    const count = describeCount(theirs.count, datatypeByCode(mine.type)!);
    return `cannot ${name}: ${them} passed ${count}, ${me} passed ${mine.count}`;
  }
  if (theirs.op !== mine.op) {
    return `cannot ${name}: ${them} asked for ${reductionName(theirs.op)}, ` +
      `${me} for ${reductionName(mine.op)}`;
  }
  if (theirs.root !== mine.root) {
    return `cannot ${name}: ${them} named root ${theirs.root}, ${me} named root ${mine.root}`;
  }
  if (theirs.compression !== mine.compression) {
    return `cannot ${name}: ${them} asked for compression ${codecName(theirs.compression)}, ` +
      `${me} for ${codecName(mine.compression)}`;
  }
  if (theirs.exact !== mine.exact) {
    const count = describeCount(theirs.exact, datatypeByCode(mine.type)!);
    return `cannot ${name}: ${them} passed ${count} as they are, ${me} passed ${mine.exact}`;
  }
  if (theirs.algorithm !== mine.algorithm) {
    return `cannot ${name}: ${them} asked for algorithm ${theirs.algorithm}, ` +
      `${me} for ${mine.algorithm}`;
  }
  return `cannot ${name}: ${them} asked for segments of ${theirs.segmentBytes} bytes, ` +
    `${me} of ${mine.segmentBytes}`;
}
