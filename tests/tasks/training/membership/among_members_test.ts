import assert from "node:assert/strict";
import { ClosedError } from "../../../../runtime/base/errors.ts";
import type { Communicator } from "../../../../runtime/communicator.ts";
import { amongMembers } from "../../../../tasks/training/membership/among_members.ts";
import {
  type Crew,
  CrewChange,
  type Members,
} from "../../../../tasks/training/membership/members.ts";
import { onAll, world } from "../../../_helpers/world.ts";

Deno.test("communicators of former crews are freed, but for the given one", async () => {
  await using mesh = await world(2);
  const outcomes = await onAll(mesh, async (comm) => {
    const crewOf = (comm: Communicator): Crew => ({ comm, worlds: [{ step: 0, ranks: 2 }] });
    const members = { given: comm, begin: () => Promise.resolve(crewOf(comm)) } as Members;
    const crews: Communicator[] = [];
    await amongMembers(members, async (crew) => {
      crews.push(crew.comm);
      if (crews.length === 4) return;
      throw new CrewChange(crewOf(await crew.comm.shrink()));
    });
    const uses = crews.map((crew) => crew.barrier().then(() => "open", (error) => error));
    const [first, second, third, last] = await Promise.all(uses);
    assert.deepEqual([first, last], ["open", "open"]);
    assert(second instanceof ClosedError && third instanceof ClosedError, `${second}, ${third}`);
  });
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
});
