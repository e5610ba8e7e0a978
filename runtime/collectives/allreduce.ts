import type { Context } from "../context.ts";
import { bytesOf, type Datatype, datatypeOf, elementsOf, type TypedArray } from "../datatypes.ts";
import { type Op, reductionOf } from "../ops.ts";
import { type Fold, foldInputs, foldOf } from "../reduction.ts";
import type { Call } from "./_call.ts";
import { partition, segments } from "./_partition.ts";
import { SEGMENT_BYTES, SEGMENTS_IN_FLIGHT, SMALL_BYTES } from "./_tuning.ts";

/** Reduces the members' buffers element by element; every member gets the result, in place. */
export async function allreduce(
  context: Context,
  buffer: TypedArray,
  op: Op = "sum",
): Promise<void> {
  const type = datatypeOf(buffer);
  const reduction = reductionOf(op, type);
  const fold = foldOf(reduction, type);
  const signature = {
    name: "allreduce",
    type: type.code,
    count: buffer.length,
    op: reduction.code,
  } as const;
  await context.collective(signature, async (call) => {
    const bytes = bytesOf(buffer);
    if (bytes.length > SMALL_BYTES) return await direct(call, bytes, type, fold);
    bytes.set(
      await call.exchange(bytes, (inputs) => {
        const out = new Uint8Array(bytes.length);
        foldInputs(fold, inputs.map((input) => elementsOf(type, input)), elementsOf(type, out));
        return out;
      }),
    );
  });
}

/**
 * Direct reduce-scatter, then direct allgather: rank p owns the p-th part of the buffer, gets it from
 * all others, folds it in the order of ranks and sends the result to all others. 2 steps,
 * 2n(N−1)/N bytes a rank.
 *
 * Both go on at once, segment by segment, and the result of a segment is its owner's leave to send
 * another one, which bounds the scratch memory.
 */
async function direct(call: Call, bytes: Uint8Array, type: Datatype, fold: Fold): Promise<void> {
  const { rank, size } = call.context;
  const step = Math.max(
    fold.width,
    Math.floor(SEGMENT_BYTES / type.bytes / fold.width) * fold.width,
  );
  const pieces = partition(bytes.length / type.bytes, size, fold.width)
    .map((piece) =>
      segments(piece, step).map(({ start, end }) =>
        bytes.subarray(start * type.bytes, end * type.bytes)
      )
    );
  const peers = Array.from({ length: size - 1 }, (_, k) => (rank + 1 + k) % size);
  const own = pieces[rank];
  const window = Math.min(SEGMENTS_IN_FLIGHT, own.length);
  const scratch = new Uint8Array(window * (size - 1) * (own[0]?.length ?? 0));
  const inputs: Promise<Uint8Array>[][] = [];
  const offer = (s: number) => {
    if (s >= own.length) return;
    inputs[s] = peers.map((from, k) => {
      const offset = ((s % window) * (size - 1) + k) * own[0].length;
      return call.receive(from, 2 * s, scratch.subarray(offset, offset + own[s].length));
    });
  };
  for (let s = 0; s < window; s++) offer(s);
  const results = pieces.map((piece, owner) =>
    owner === rank ? [] : piece.map((segment, s) => call.receive(owner, 2 * s + 1, segment))
  );
  await call.agree();

  const sendInputs = peers.map(async (owner) => {
    for (let s = 0; s < pieces[owner].length; s++) {
      if (s >= SEGMENTS_IN_FLIGHT) await results[owner][s - SEGMENTS_IN_FLIGHT];
      await call.send(owner, 2 * s, pieces[owner][s]);
    }
  });
  const sent: Promise<void>[] = [];
  const foldOwn = async () => {
    for (let s = 0; s < own.length; s++) {
      const parts = await Promise.all(inputs[s]);
      const byRank: TypedArray[] = [];
      peers.forEach((from, k) => byRank[from] = elementsOf(type, parts[k]));
      byRank[rank] = elementsOf(type, own[s]);
      foldInputs(fold, byRank, byRank[rank]);
      offer(s + window);
      sent.push(...peers.map((to) => call.send(to, 2 * s + 1, own[s])));
    }
  };
  await Promise.all([...sendInputs, ...results.flat(), foldOwn()]);
  await Promise.all(sent);
}
