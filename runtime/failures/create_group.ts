import { Context } from "../engine/context.ts";
import { LocalPeers } from "../shared_memory/local_peers.ts";

/**
 * A communicator of some members, made by these alone (MPI_Comm_create_group): the others may be late, or lost. The
 * first gives it a number, and tells its others. n−1 messages. Its ranks talk over sockets, also within a host: memory
 * is shared by all or none.
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
  const own = ranks.map((each) => members[each]), id = new Float64Array(1);
  const create = () => new Context(engine, id[0], own, LocalPeers.none());
  const [first, ...others] = ranks;
  if (rank !== first) return messages.receive(id, first, tag).then(create);
  id[0] = engine.newId();
  return Promise.all(others.map((other) => messages.send(id, other, tag))).then(create);
}
