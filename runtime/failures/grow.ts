import { Context } from "../engine/context.ts";
import type { Merge } from "../agreement/agreement.ts";
import { LocalPeers } from "../shared_memory/local_peers.ts";
import { AGREED_LOST, union } from "./agree.ts";

/** What a member knows when it begins to grow. */
interface Knowledge {
  readonly failed: readonly number[];
  /** Those that wait to be let in: the rank each would be in the job, and how it is reached. */
  readonly waiting: readonly (readonly [number, string])[];
}

/** What a member knows when it has tried to reach the newcomers. */
interface Attempt {
  readonly failed: readonly number[];
  /** The newcomers that it has not reached, by their ranks in the job. */
  readonly missed: readonly number[];
}

/**
 * A communicator of the members that live, in their order, and behind them of the processes that wait to
 * be let in, in the order of their ranks in the job. Members agree on who waits, each connects to all of
 * these, and they agree on who has been reached by everybody: only those are in it. So a newcomer that
 * ends meanwhile is left out, as is a member that does.
 *
 * Over sockets, as what {@linkcode shrink} makes.
 */
export function grow(context: Context): Promise<Context> {
  const { engine, agreements, members } = context, { transport } = engine, { door } = transport;
  return agreements.inOrder(async (agree) => {
    const known = await exchange<Knowledge, Knowledge & { readonly id: number }>(
      agree,
      { failed: context.failed, waiting: [...door?.waiting ?? []] },
      (all, lost) => ({
        id: engine.newId(),
        failed: union(lost, ...all.map(({ failed }) => failed)),
        waiting: [...new Map(all.flatMap(({ waiting }) => waiting))].sort(([a], [b]) => a - b),
      }),
    );
    context.noteLost(known.failed, AGREED_LOST);
    const living = (failed: readonly number[]) =>
      members.filter((_, member) => !failed.includes(member));
    const create = (of: readonly number[]) => new Context(engine, known.id, of, LocalPeers.none());
    if (known.waiting.length === 0) return create(living(known.failed));

    const newcomers = new Map(known.waiting), ranks = [...newcomers.keys()];
    const reached = await door?.reach(newcomers, living(known.failed)) ?? [];
    const { failed, missed } = await exchange<Attempt, Attempt>(
      agree,
      { failed: context.failed, missed: ranks.filter((rank) => !reached.includes(rank)) },
      (all, lost) => ({
        failed: union(lost, ...all.map(({ failed }) => failed)),
        missed: union(...all.map(({ missed }) => missed)),
      }),
    );
    context.noteLost(failed, AGREED_LOST);
    const all = [...living(failed), ...ranks.filter((rank) => !missed.includes(rank))];
    const grown = create(all);
    for (const rank of ranks) door?.welcome(rank, { context: known.id, members: all });
    for (const rank of missed) engine.lostPeers.add(rank, "not all could reach it");
    return grown;
  });
}

/** Agrees on what `merge` makes of what the members know. */
async function exchange<I, O>(
  agree: (input: Uint8Array, merge: Merge) => Promise<Uint8Array>,
  mine: I,
  merge: (all: readonly I[], lost: readonly number[]) => O,
): Promise<O> {
  const encode = (value: I | O) => new TextEncoder().encode(JSON.stringify(value));
  const decode = <T>(bytes: Uint8Array): T => JSON.parse(new TextDecoder().decode(bytes));
  return decode<O>(
    await agree(
      encode(mine),
      (contributions, lost) =>
        encode(merge([...contributions.values()].map((input) => decode<I>(input)), lost)),
    ),
  );
}
