import { PeerMemory } from "../peer_memory.ts";
import type { Call } from "./_call.ts";
import { pack, unpack } from "./_pack.ts";

/**
 * Finds out whether every member can read the memory of every other: each publishes random bytes and
 * where they lie, and reads those of all others. Two waves, once for a communicator.
 *
 * @returns the members' process numbers, or null if sockets must do
 */
export async function findNeighbours(call: Call): Promise<readonly number[] | null> {
  const memory = PeerMemory.open();
  const token = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  const place = memory === null ? [0, 0] : [Deno.pid, PeerMemory.address(token)];
  const mine = pack([new Uint8Array(new Float64Array(place).buffer), token]);
  const answer = unpack(await call.exchange(mine, pack), call.context.size);
  const members = answer.map((part) => {
    const [numbers, token] = unpack(part, 2);
    const [pid, address] = new Float64Array(numbers.slice().buffer);
    return { pid, address, token };
  });
  const works = memory !== null && members.every(({ pid, address, token }) => {
    const copy = new Uint8Array(TOKEN_BYTES);
    return pid !== 0 && memory.read(pid, address, PeerMemory.address(copy), TOKEN_BYTES) &&
      copy.every((byte, i) => byte === token[i]);
  });
  const verdict = await call.exchange(
    Uint8Array.of(works ? 1 : 0),
    (votes) => Uint8Array.of(votes.every(([vote]) => vote === 1) ? 1 : 0),
  );
  token.fill(0);
  return verdict[0] === 1 ? members.map(({ pid }) => pid) : null;
}

/** Enough that the bytes do not lie where a garbage collector moves things. */
const TOKEN_BYTES = 1024;
