import { pack, unpack } from "../base/pack.ts";
import { Context } from "../engine/context.ts";
import { LocalPeers } from "../shared_memory/local_peers.ts";
import { AGREED_LOST, numbers, union, words } from "./agree.ts";

/**
 * A communicator of the members that live, in their order (MPI_Comm_shrink), whoever is lost meanwhile and
 * whether or not this one is revoked. Whoever was known to be lost to any member that takes part is left
 * out; one that is lost while the members agree may still be in it, and fails the calls on it.
 *
 * Its ranks talk over sockets, also within a host: what a rank that was lost has left in memory that it
 * shared is not to be relied on.
 */
export function shrink(context: Context): Promise<Context> {
  const { engine, agreements } = context;
  return context.deriveInOrder((last) =>
    agreements.inOrder(async (agree) => {
      await last;
      const input = pack([words(engine.nextId), words(...context.failed)]);
      const decided = await agree(input, (contributions, lost) => {
        const all = [...contributions.values()].map((input) => unpack(input, 2).map(numbers));
        const next = Math.max(...all.map(([[next]]) => next));
        return pack([words(next), words(...union(lost, ...all.map(([, failed]) => failed)))]);
      });
      const [[next], failed] = unpack(decided, 2).map(numbers);
      context.noteLost(failed, AGREED_LOST);
      const living = context.members.filter((_, member) => !failed.includes(member));
      return new Context(engine, next, living, LocalPeers.none());
    })
  );
}
