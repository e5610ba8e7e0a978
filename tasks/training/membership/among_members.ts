/**
 * A run whose ranks leave and come: it is trained among some, then among others, until it is over.
 *
 * @module
 */

import { StoppedError } from "../requests.ts";
import { type Crew, CrewChange, LeftError, type Members } from "./members.ts";

/**
 * Trains among the ranks there are, however often they become others.
 *
 * @param members all communicators but the given one are freed when they are no longer used. They hear if this rank's
 * part ends with an error; the end of the run is the caller's to tell, when the caller is done with it
 * @param train trains among some ranks, from what this one carries; from the beginning without
 * @throws LeftError if this rank has no part in the rest
 */
export async function amongMembers<T>(
  members: Members,
  train: (crew: Crew) => Promise<T>,
): Promise<T> {
  try {
    return await trainOn(members, train);
  } catch (error) {
    await members.end?.(error instanceof StoppedError);
    throw error;
  }
}

async function trainOn<T>(members: Members, train: (crew: Crew) => Promise<T>): Promise<T> {
  let crew = await members.begin();
  while (true) {
    crew ??= await members.absent();
    if (!crew) throw new LeftError("the run has gone on without this rank");
    const { comm } = crew;
    try {
      return await train(crew);
    } catch (error) {
      if (!(error instanceof CrewChange)) throw error;
      crew = error.crew;
      if (comm !== members.given) comm.free();
    }
  }
}
