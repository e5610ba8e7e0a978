import { decodeCounts, encodeCounts } from "../algorithms/blocks.ts";
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
  const { engine, agreements, members } = context;
  return agreements.inOrder(async (agree) => {
    const decided = await agree(words(...context.failed), (contributions, lost) => {
      const failed = union(lost, ...[...contributions.values()].map(numbers));
      return pack([encodeCounts([engine.newId()]), words(...failed)]);
    });
    const [id, lost] = unpack(decided, 2), failed = numbers(lost);
    context.noteLost(failed, AGREED_LOST);
    const living = members.filter((_, member) => !failed.includes(member));
    return new Context(engine, decodeCounts(id)[0], living, LocalPeers.none());
  });
}
