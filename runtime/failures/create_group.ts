import { Context } from "../engine/context.ts";
import { LocalPeers } from "../shared_memory/local_peers.ts";

/**
 * A communicator of some members, made by these alone (MPI_Comm_create_group): the others may be late, or lost. The
 * first collects from each the first number for a communicator that it has free, and tells all the largest.
 * 2(n−1) messages. Its ranks talk over sockets, also within a host: memory is shared by all or none.
 *
 * @param ranks this one among them; the same on all of them
 * @param tag of the messages that do it
 * @throws RangeError if a rank is none of the communicator's, stands twice, or this one is not among them
 */
export function createGroup(
  context: Context,
  ranks: readonly number[],
  tag: number,
): Promise<Context> {
  const { engine, members, rank, size, messages } = context;
  const wrong = ranks.find((each) => !(Number.isInteger(each) && each >= 0 && each < size));
  if (wrong !== undefined || new Set(ranks).size < ranks.length || !ranks.includes(rank)) {
    return Promise.reject(
      new RangeError(
        `cannot create a group: its ranks must be different ones below ${size} with this one, ${rank}, ` +
          `among them, found ${ranks.join(", ")}`,
      ),
    );
  }
  return context.deriveInOrder(async (last) => {
    await last;
    const [first, ...others] = ranks, free = new Int32Array(1);
    let next = engine.nextId;
    if (rank === first) {
      for (const other of others) {
        await messages.receive(free, other, tag);
        next = Math.max(next, free[0]);
      }
      await Promise.all(others.map((other) => messages.send(Int32Array.of(next), other, tag)));
    } else {
      await messages.send(Int32Array.of(next), first, tag);
      await messages.receive(free, first, tag);
      next = free[0];
    }
    const own = ranks.map((each) => members[each]);
    return new Context(engine, next, own, LocalPeers.none());
  });
}
