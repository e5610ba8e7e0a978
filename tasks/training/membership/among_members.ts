/**
 * A run whose ranks leave and come: it is trained among some, then among others, until it is over.
 *
 * @module
 */

import { type Carried, share } from "./carried.ts";
import { type Crew, CrewChange, LeftError, type Members } from "./members.ts";

/**
 * Trains among the ranks there are, however often they become others.
 *
 * @param first those that begin, if nobody else says so
 * @param train trains among some ranks, from what this one carries; from the beginning without
 * @throws LeftError if this rank has no part in the rest
 */
export async function amongMembers<T>(
  members: Members,
  first: Crew,
  train: (crew: Crew, carried: Carried | undefined) => Promise<T>,
): Promise<T> {
  let crew = members.begin ? await members.begin() : first;
  let carried: Carried | undefined;
  while (true) {
    if (!crew) {
      crew = await members.absent();
      if (!crew) throw new LeftError("the run has gone on without this rank");
      carried = await share(crew.comm, crew.worlds, null);
    }
    try {
      return await train(crew, carried);
    } catch (error) {
      if (!(error instanceof CrewChange)) throw error;
      crew = error.crew;
      carried = crew ? await share(crew.comm, crew.worlds, error.carried) : undefined;
    }
  }
}
