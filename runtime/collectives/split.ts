import { Context } from "../engine/context.ts";
import { decodeCounts, encodeCounts } from "../algorithms/blocks.ts";

/**
 * Divides the members into communicators, one for each color; in each, ranks follow the keys, and the
 * ranks of the old communicator where keys are equal. Every member also learns the number of the new
 * communicators, which rank 0 gives out. One tree exchange, 2⌈log₈N⌉ steps.
 *
 * @param color a non-negative integer, or null to be left out
 */
export async function split(
  context: Context,
  color: number | null,
  key: number,
): Promise<Context | null> {
  if (color !== null && !(Number.isInteger(color) && color >= 0)) {
    throw new RangeError(`cannot split: color must be a non-negative integer, found ${color}`);
  }
  if (!Number.isFinite(key)) {
    throw new RangeError(`cannot split: key must be a finite number, found ${key}`);
  }
  return await everyone(context, "split", [color ?? -1, key], (id, members) => {
    const mine = members
      .filter(({ values }) => color !== null && values[0] === color)
      .sort((a, b) => a.values[1] - b.values[1] || a.rank - b.rank);
    if (color === null) return null;
    const own = mine.map(({ rank }) => context.members[rank]);
    return new Context(context.engine, id, own, context.localPeers);
  });
}

/** A communicator of the same members whose traffic never meets that of the old one. */
export function dup(context: Context): Promise<Context> {
  const { engine, members, localPeers } = context;
  return everyone(context, "dup", [], (id) => new Context(engine, id, members, localPeers));
}

interface Member {
  readonly rank: number;
  readonly values: number[];
}

/**
 * Collects every member's values and a number for what is made of them. `make` runs before any frame with that number
 * can be taken in.
 */
function everyone<T>(
  context: Context,
  name: "split" | "dup",
  values: number[],
  make: (id: number, members: Member[]) => T,
): Promise<T> {
  return context.collective({ name }, async (call) => {
    const id = context.rank === 0 ? context.engine.newId() : 0;
    const answer = (await call.exchangeAll(encodeCounts([id, ...values]))).map(decodeCounts);
    const [[given]] = answer;
    return make(given, answer.map(([, ...values], rank) => ({ rank, values })));
  });
}
