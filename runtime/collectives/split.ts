import { Context } from "../engine/context.ts";
import { decodeCounts, encodeCounts } from "../algorithms/blocks.ts";

/**
 * Divides the members into communicators, one for each color; in each, ranks follow the keys, and the
 * ranks of the old communicator where keys are equal. Every member also learns the number of the new
 * communicators: one that none of them has used. One tree exchange, 2⌈log₈N⌉ steps.
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
  return await everyone(context, "split", [color ?? -1, key], (next, members) => {
    const mine = members
      .filter(({ values }) => color !== null && values[0] === color)
      .sort((a, b) => a.values[1] - b.values[1] || a.rank - b.rank);
    if (color === null) return null;
    const own = mine.map(({ rank }) => context.members[rank]);
    return new Context(context.engine, next, own, context.localPeers);
  });
}

/** A communicator of the same members whose traffic never meets that of the old one. */
export function dup(context: Context): Promise<Context> {
  const { engine, members, localPeers } = context;
  return everyone(context, "dup", [], (next) => new Context(engine, next, members, localPeers));
}

interface Member {
  readonly rank: number;
  readonly values: number[];
}

/**
 * Collects every member's values and the first number for a communicator that all members have free.
 * `make` runs before any frame with that number can be taken in. Of several such calls on one
 * communicator each waits for the one before it, whose number would otherwise be free still.
 */
function everyone<T>(
  context: Context,
  name: "split" | "dup",
  values: number[],
  make: (next: number, members: Member[]) => T,
): Promise<T> {
  const { engine } = context;
  return context.deriveInOrder((last) =>
    context.collective({ name }, async (call) => {
      await last;
      const mine = encodeCounts([engine.nextId, ...values]);
      const answer = (await call.exchangeAll(mine)).map(decodeCounts);
      const next = Math.max(...answer.map(([free]) => free));
      engine.reserveId(next);
      return make(next, answer.map(([, ...values], rank) => ({ rank, values })));
    })
  );
}
