/**
 * Ranks that are started again in the stead of those that a run has lost and goes on without: after pauses that grow,
 * and not without end.
 *
 * @module
 */

import type { LaunchProgramOptions } from "../../../runtime/launcher/launch.ts";
import type { LaunchFailure } from "../../../runtime/launcher/root_cause.ts";
import type { Options } from "../../options/table.ts";
import { restartPause } from "./restarts.ts";

/** One that has lived for so long counts anew, in ms: as Kubernetes has it. */
const PROVEN_MS = 600_000;

/** What follows the loss of a rank. */
export interface Comeback {
  /** Milliseconds after which another is started in its stead; null: none is. */
  readonly pause: number | null;
  /** What a person is to be told of it. */
  readonly line: string;
}

/** How often ranks have been started again. */
export class Comebacks {
  readonly #most: number;
  readonly #now: () => number;
  /** By the rank that the job began with: how often in a row, and when the last one was to start. */
  readonly #starts = new Map<number, { readonly count: number; readonly at: number }>();

  /**
   * @param most how often in a row a rank may be started again
   * @param now a clock, in ms
   */
  constructor(most: number, now: () => number = () => performance.now()) {
    this.#most = most;
    this.#now = now;
  }

  /** What follows a loss. To be asked once for each. */
  after({ rank, stead = rank, withHost = false, headline }: LaunchFailure): Comeback {
    const [what] = headline.split("\n"), now = this.#now(), before = this.#starts.get(stead);
    if (withHost) return { pause: null, line: `${what}; the others go on without it` };
    const count = 1 + (before && now - before.at < PROVEN_MS ? before.count : 0);
    if (count > this.#most) {
      const tried = this.#most === 0
        ? ""
        : `: it has been started again ${this.#most} times in a row`;
      return { pause: null, line: `${what}; the others go on without it${tried}` };
    }
    const seconds = restartPause(count);
    this.#starts.set(stead, { count, at: now + 1000 * seconds });
    return {
      pause: 1000 * seconds,
      line:
        `${what}; the others go on, and it is started again in ${seconds} s (${count} of ${this.#most})`,
    };
  }
}

/** What a run's launcher does when a rank is lost and the others go on. */
export function afterLosses(
  { elastic, maxRestarts }: Pick<Options, "elastic" | "maxRestarts">,
  say: (line: string) => void,
): Pick<LaunchProgramOptions, "onLost" | "respawn"> {
  if (elastic === null) {
    return { onLost: ({ headline }) => say(`${headline.split("\n")[0]}; the others go on`) };
  }
  const comebacks = new Comebacks(maxRestarts);
  return {
    onLost: () => {},
    respawn(loss) {
      const { pause, line } = comebacks.after(loss);
      say(line);
      return pause;
    },
  };
}
