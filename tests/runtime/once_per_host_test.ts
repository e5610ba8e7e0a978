/** What ranks of a host make once, over real sockets: several ranks in one process. */

import assert from "node:assert/strict";
import { type Communicator, worldCommunicator } from "../../runtime/communicator.ts";
import {
  generateImages,
  generateImagesTogether,
} from "../../tasks/data/images/generated_images.ts";
import { type OncePerHost, openOncePerHost, PER_RANK } from "../../runtime/once_per_host.ts";
import { connect } from "../_helpers/mesh.ts";

/** Runs a body on every rank; `hosts` says where each is. */
async function onRanks<T>(
  hosts: readonly string[],
  body: (sharing: OncePerHost, rank: number, comm: Communicator) => Promise<T>,
  processors: readonly number[] = hosts.map(() => 8),
): Promise<T[]> {
  await using mesh = await connect(hosts.length, { hosts });
  const comms = mesh.transports.map((transport) => worldCommunicator(transport));
  return await Promise.all(comms.map(async (comm, rank) => {
    using sharing = await openOncePerHost(comm, processors[rank]);
    const result = await body(sharing, rank, comm);
    await comm.barrier();
    return result;
  }));
}

const SIX = ["a", "b", "a", "a", "b", "c"];

Deno.test("ranks are split by their hosts, in their order", async () => {
  const found = await onRanks(SIX, async (_sharing, rank, comm) => {
    const host = await comm.splitHost(), ranks = new Int32Array(host.size);
    await host.allgather(Int32Array.of(rank), ranks);
    host.free();
    return [...ranks];
  });
  const [a, b, c] = [[0, 2, 3], [1, 4], [5]];
  assert.deepEqual(found, [a, b, a, a, b, c]);
});

Deno.test("one rank of each host makes a thing, each in turn, and all have it", async () => {
  const made: string[] = [];
  const found = await onRanks(SIX, async (sharing, rank) => {
    const things: Uint8Array[] = [];
    for (const thing of [0, 1, 2]) {
      things.push(
        await sharing.make(`thing ${thing}`, () => {
          made.push(`${SIX[rank]}${thing} by ${rank}`);
          return Uint8Array.from({ length: 1000 * thing }, (_, i) => i % 200 + thing);
        }),
      );
    }
    return things;
  });
  assert.deepEqual(
    made.toSorted(),
    ["a0 by 0", "a1 by 2", "a2 by 3", "b0 by 1", "b1 by 4", "b2 by 1", "c0 by 5", "c1 by 5"].concat(
      "c2 by 5",
    ),
  );
  for (const things of found) {
    assert.deepEqual(things.map(({ length }) => length), [0, 1000, 2000]);
    assert.deepEqual(things, found[0]);
  }
});

Deno.test("a rank that needs something else makes it itself", async () => {
  const found = await onRanks(["a", "a", "a"], async (sharing, rank) => {
    const key = rank === 2 ? "long" : "short";
    return new TextDecoder().decode(
      await sharing.make(key, () => new TextEncoder().encode(`${key}, of ${rank}`)),
    );
  });
  assert.deepEqual(found, ["short, of 0", "short, of 0", "long, of 2"]);
});

Deno.test("an array is filled by one rank, or a part by each", async () => {
  const found = await onRanks(SIX, async (sharing, rank) => {
    const whole = new Float32Array(5), parts = new Uint8Array(14);
    await sharing.fill(whole, (array) => array.fill(rank + 1));
    const drawn: number[] = [];
    await sharing.divide(parts, 7, (begin, end) => {
      for (let piece = begin; piece < end; piece++) drawn.push(piece);
      parts.fill(10 + rank, 2 * begin, 2 * end);
    });
    return { whole: whole[4], parts: [...parts], drawn };
  });
  assert.deepEqual(found.map(({ whole }) => whole), [1, 2, 1, 1, 2, 6]);
  const a = [10, 10, 10, 10, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13];
  for (const rank of [0, 2, 3]) assert.deepEqual(found[rank].parts, a);
  assert.deepEqual([0, 2, 3].flatMap((rank) => found[rank].drawn), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(found[5].drawn, [0, 1, 2, 3, 4, 5, 6]);
});

Deno.test("no more ranks fill a part than have a processor", async () => {
  const found = await onRanks(["a", "a", "a"], async (sharing) => {
    const array = new Uint8Array(5);
    let called: number[] | null = null;
    await sharing.divide(array, 5, (...range) => {
      called = range;
      array.fill(1 + range[0], ...range);
    });
    return { called, array: [...array] };
  }, [2, 3, 2]);
  const array = [1, 1, 3, 3, 3];
  assert.deepEqual(found, [
    { called: [0, 2], array },
    { called: [2, 5], array },
    { called: null, array },
  ]);
});

Deno.test("images drawn together are those drawn alone", async () => {
  const options = { seed: 3, train: 31, test: 5 };
  const alone = generateImages(options);
  assert.deepEqual(await generateImagesTogether(PER_RANK, options), alone);
  for (const images of await onRanks(["a", "a", "a"], (s) => generateImagesTogether(s, options))) {
    assert.deepEqual(images, alone);
  }
});
