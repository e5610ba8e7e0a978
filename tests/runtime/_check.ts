/** One line of a battery: what is checked, and every rank's part in it. */

import type { Communicator } from "../../runtime/communicator.ts";

/** A check that all ranks of a communicator make together. */
export interface Check {
  readonly name: string;
  /** @param longest no buffer is longer than this many elements a rank, but for a few */
  run(comm: Communicator, longest?: number): Promise<void>;
}
