import type { Context } from "../engine/context.ts";
import { datatypeOf, describeCount, overlap, type TypedArray } from "../base/datatypes.ts";
import type { Op } from "../base/ops.ts";
import type { CollectiveCall } from "../engine/call.ts";
import type { CollectiveGroup } from "../engine/group.ts";
import { allgatherThenReduce } from "../algorithms/allreduce_allgather.ts";
import { compressedAllreduce } from "../algorithms/allreduce_compressed.ts";
import { type EncodedNumbers, HostNumbers } from "../algorithms/encoded_numbers.ts";
import { memoryAllreduce } from "../algorithms/allreduce_memory.ts";
import { ringAllreduce } from "../algorithms/allreduce_ring.ts";
import { chunks, type Range } from "../algorithms/partition.ts";
import { reduceSegments } from "../algorithms/reduce_segments.ts";
import { twoLevelReduction } from "../algorithms/two_level.ts";
import {
  checkReduction,
  foldBytes,
  type ReductionArguments,
} from "../algorithms/reduction_arguments.ts";
import { answerProbe, probeNetwork } from "../algorithms/network_probe.ts";
import { AllreduceChoice, Decision } from "./allreduce_choice.ts";
import { hasTwoLevels } from "../base/hosts.ts";
import type { Codec } from "../compression/codec.ts";
import { float32 } from "../compression/float32.ts";
import { codecOf } from "../compression/registry.ts";
import { isSmall } from "../engine/tuning.ts";
import { platform } from "../base/platform.ts";

/** The ways to reduce to all, in the order of their numbers on the wire. */
export const ALLREDUCE_ALGORITHMS = [
  "auto",
  "tree",
  "allgather",
  "direct",
  "ring",
  "memory",
  "two-level",
] as const;

/** A way to reduce to all. All give the same bits. */
export type AllreduceAlgorithm = typeof ALLREDUCE_ALGORITHMS[number];

/** How an allreduce is to be carried out; every member must ask for the same. */
export interface AllreduceOptions {
  /**
   * `auto` takes the tree for small buffers; for large ones `memory` where the ranks have memory in
   * common; where they are on several hosts and share some of these, `two-level` at first and then whatever
   * of it and `direct` has taken less time for such buffers; else `direct`. @default {"auto"}
   */
  algorithm?: AllreduceAlgorithm;
  /** Longest segment in bytes. */
  segmentBytes?: number;
  /**
   * How a sum of float32 travels: `none`, `bf16`, `fp16`, `int8`, `int4`; `mxint8`, `mxint4`, of which ranks of one
   * host send others their sum; or `topk:F` or `topk:F:int8`, which sends the share F of the numbers, the largest. What all ranks get is the same, bit for bit, but no longer the
   * sum: see {@linkcode AllreduceOptions.residual}. On one rank nothing travels, and nothing is lost.
   *
   * @default {"none"}
   */
  compress?: string;
  /**
   * With `compress`: as many numbers as the buffer, zeros at first, that this rank keeps from call to call.
   * They are added to the buffer, and become what was lost of it, so that what one call loses the next makes up
   * for (error feedback). What is lost of the sum is kept by one of the ranks as well.
   */
  residual?: Float32Array;
  /**
   * With `compress`: numbers that travel with the buffer's and are summed as they are, in the same exchange, apart
   * from the buffer; they become their sum. As many on every rank.
   */
  exact?: Float32Array;
  /**
   * With `compress`: whether this rank's buffer counts. One that does not gets the sum of the others all the
   * same, sends no input, and leaves its residual for another time. @default {true}
   */
  contributes?: boolean;
}

/** An allreduce's options with its op among them. */
export interface AllreduceCall extends AllreduceOptions {
  /** A name, a function of two elements, or what `createOp` returns. @default {"sum"} */
  op?: Op;
}

/** A buffer, or numbers that are summed where they lie; then an op and options, or an op among its options. */
export type AllreduceArguments = [
  buffer: TypedArray | EncodedNumbers,
  op?: Op | AllreduceCall,
  options?: AllreduceOptions,
];

/** Reduces the members' buffers element by element; every member gets the result, in place. */
export async function allreduce(
  context: Context,
  ...[buffer, opOrCall = "sum", otherOptions]: AllreduceArguments
): Promise<void> {
  const { op = "sum", ...options } = isCall(opOrCall)
    ? opOrCall
    : { op: opOrCall, ...otherOptions };
  if (isEncoded(buffer)) return await sumWhereTheyLie(context, buffer, op, options);
  const { algorithm = "auto", segmentBytes } = options;
  const reduction = checkReduction("allreduce", buffer, op);
  const code = ALLREDUCE_ALGORITHMS.indexOf(algorithm);
  if (code < 0) {
    throw new TypeError(
      `cannot allreduce: algorithm must be one of ${ALLREDUCE_ALGORITHMS.join(", ")}, ` +
        `found "${algorithm}"`,
    );
  }
  if (segmentBytes !== undefined && !(Number.isInteger(segmentBytes) && segmentBytes > 0)) {
    throw new RangeError(`cannot allreduce: segmentBytes must be positive, found ${segmentBytes}`);
  }
  const codec = checkCompression(buffer, op, options);
  const signature = {
    name: "allreduce",
    ...reduction.signature,
    algorithm: code,
    segmentBytes,
    compression: codec?.code,
    exact: options.exact?.length,
  } as const;
  if (codec) {
    const { residual, contributes = true } = options;
    const numbers = new HostNumbers(codec, buffer as Float32Array, residual);
    return await context.collective(signature, async (call) => {
      const sums = sumsOf(codec, numbers, options);
      if (context.size > 1) return await compressedAllreduce(call, { sums, contributes });
      await call.agree();
      for (const { numbers } of sums) numbers.stay(contributes);
    });
  }
  await context.collective(signature, async (call) => {
    if (algorithm === "memory" || algorithm === "auto" && !isSmall(reduction.bytes)) {
      const { size, members, localPeers } = context;
      const sharesMemory = size > 1 && localPeers.sharesMemory(members);
      if (sharesMemory && await memoryAllreduce(call, reduction, segmentBytes)) return;
    }
    switch (algorithm) {
      case "allgather":
        return await allgatherThenReduce(call, reduction);
      case "ring":
        return await ringAllreduce(call, reduction, segmentBytes);
      case "tree":
        return await tree(call, reduction);
      case "two-level":
        await twoLevelReduction(call, reduction, { segmentBytes });
        return;
      case "auto":
        if (isSmall(reduction.bytes)) return await tree(call, reduction);
        return await (hasTwoLevels(context.hosts)
          ? betweenHosts(call, reduction, segmentBytes)
          : direct(call, reduction, segmentBytes));
      default:
        return await direct(call, reduction, segmentBytes);
    }
  });
}

/** Sums numbers that are encoded where they lie; ranks whose numbers are here may pass these meanwhile. */
async function sumWhereTheyLie(
  context: Context,
  numbers: EncodedNumbers,
  op: Op,
  { compress = "none", contributes = true, residual, exact }: AllreduceOptions,
): Promise<void> {
  const codec = codecOf(compress), { length: count } = numbers;
  if (!codec || op !== "sum" || residual || context.size === 1) {
    throw new TypeError(
      `cannot allreduce encoded numbers: they take "sum" with compress, without a residual, on two ranks or more, ` +
        `found compress "${compress}" on ${context.size}`,
    );
  }
  if (codec.integerBits && !numbers.sumExactly) {
    throw new TypeError(
      `cannot allreduce encoded numbers: compress "${compress}" takes numbers that can sumExactly, found none`,
    );
  }
  checkExact(exact);
  const algorithm = ALLREDUCE_ALGORITHMS.indexOf("auto");
  const { signature } = checkReduction("allreduce", exact ?? new Float32Array(), op);
  const compression = codec.code, exactCount = exact?.length;
  await context.collective(
    { name: "allreduce", ...signature, count, algorithm, compression, exact: exactCount },
    (call) => compressedAllreduce(call, { sums: sumsOf(codec, numbers, { exact }), contributes }),
  );
}

/** The numbers, and with them those that travel as they are. */
function sumsOf<T extends EncodedNumbers>(
  codec: Codec,
  numbers: T,
  { exact }: AllreduceOptions,
): { codec: Codec; numbers: T | HostNumbers }[] {
  const sums: { codec: Codec; numbers: T | HostNumbers }[] = [{ codec, numbers }];
  if (exact?.length) sums.push({ codec: float32, numbers: new HostNumbers(float32, exact) });
  return sums;
}

function isEncoded(buffer: TypedArray | EncodedNumbers): buffer is EncodedNumbers {
  return typeof buffer === "object" && buffer !== null && "prepare" in buffer;
}

function isCall(op: Op | AllreduceCall): op is AllreduceCall {
  return typeof op === "object" && op !== null && !("fold" in op);
}

/**
 * The codec that is asked for, if one is.
 *
 * @throws RangeError if there is none of that name, or the residual has another length
 * @throws TypeError if something else than a sum of float32 is to be compressed
 */
function checkCompression(
  buffer: TypedArray,
  op: Op,
  { compress = "none", residual, exact, contributes = true, ...others }: AllreduceOptions,
): Codec | null {
  const codec = codecOf(compress);
  if (!codec) {
    if (!residual && !exact && contributes) return null;
    const found = residual ? "a residual" : exact ? "exact" : "contributes: false";
    throw new TypeError(`cannot allreduce: ${found} goes with compress, which is "none"`);
  }
  const type = datatypeOf(buffer);
  if (type.name !== "float32" || op !== "sum") {
    const found = `${typeof op === "string" ? `"${op}"` : "a function"} of ${type.name}`;
    throw new TypeError(
      `cannot allreduce: compress "${compress}" takes "sum" of float32 elements, found ${found}`,
    );
  }
  const { algorithm = "auto", segmentBytes } = others;
  if (algorithm !== "auto" || segmentBytes !== undefined) {
    throw new TypeError(
      `cannot allreduce: compress "${compress}" has an algorithm of its own, and takes neither ` +
        `algorithm nor segmentBytes`,
    );
  }
  checkExact(exact, residual ? [buffer, residual] : [buffer]);
  if (residual === undefined) return codec;
  const isFloat32 = datatypeOf(residual, "residual").name === "float32";
  if (!isFloat32 || residual.length !== buffer.length || overlap(residual, buffer)) {
    throw new RangeError(
      `cannot allreduce: residual must be ${describeCount(buffer.length, type)} apart from the ` +
        `buffer, found ${describeCount(residual.length, datatypeOf(residual))}`,
    );
  }
  return codec;
}

function checkExact(exact: Float32Array | undefined, apart: readonly TypedArray[] = []): void {
  if (exact === undefined) return;
  const type = datatypeOf(exact, "exact");
  if (type.name === "float32" && !apart.some((other) => overlap(exact, other))) return;
  throw new RangeError(
    "cannot allreduce: exact must be floats apart from the buffer and the residual, found " +
      describeCount(exact.length, type),
  );
}

/**
 * The tree exchange carries all inputs to rank 0, which folds them, and the result back: 2⌈log₈N⌉
 * steps.
 */
async function tree(call: CollectiveCall, reduction: ReductionArguments): Promise<void> {
  reduction.bytes.set(
    await call.exchange(reduction.bytes, (inputs) => foldBytes(reduction, inputs)),
  );
}

/** What rank 0 of a communicator knows of the network and of the calls before. */
const choices = new WeakMap<CollectiveGroup, AllreduceChoice>();

/** Two levels, or direct exchange where that has been the faster: rank 0 decides. */
async function betweenHosts(
  call: CollectiveCall,
  reduction: ReductionArguments,
  segmentBytes?: number,
): Promise<void> {
  const { group } = call, { rank, hosts } = group, { length } = reduction.bytes;
  const choice = choices.get(group) ?? new AllreduceChoice(group);
  choices.set(group, choice);
  let start = 0;
  const decide = () => {
    start = platform.now();
    return choice.next(length);
  };
  const decision = await twoLevelReduction(call, reduction, { segmentBytes, decide });
  if (decision === Decision.DIRECT) await direct(call, reduction, segmentBytes, true);
  if (rank === 0) choice.noteTime(decision, length, (platform.now() - start) / 1e3);
  if (decision !== Decision.TWO_LEVEL_AND_PROBE) return;
  const peer = hosts[1][0]; // rank 0 is on the first host
  if (rank === 0) choice.noteNetwork(await probeNetwork(call, peer));
  else if (rank === peer) await answerProbe(call, 0);
}

/** Direct reduce-scatter, then direct allgather: 2 steps, 2n(N−1)/N bytes a rank. */
async function direct(
  call: CollectiveCall,
  reduction: ReductionArguments,
  segmentBytes?: number,
  isAgreed = false,
): Promise<void> {
  const { rank, size } = call.group, { type, fold, bytes, count } = reduction;
  const bytesOf = ({ start, end }: Range) => bytes.subarray(start * type.bytes, end * type.bytes);
  await reduceSegments(call, {
    type,
    width: fold.width,
    input: bytes,
    chunks: chunks(count, size, fold.width),
    segmentBytes,
    isAgreed,
    reduce(inputs, segment, workspace) {
      workspace.fold(fold, inputs, inputs[rank]);
      return new Array(size).fill(bytesOf(segment));
    },
    resultOf: (_owner, segment) => bytesOf(segment),
  });
}
