/**
 * The program that every rank of a training run executes. Its arguments are the run's folder, whose
 * `config.json` only rank 0 reads, and the step of the checkpoint to go on from, if there is one.
 *
 * @module
 */

import { join } from "node:path";
import type { Communicator } from "../../runtime/communicator.ts";
import { PeerLostError } from "../../runtime/base/errors.ts";
import { init, reasonOf } from "../../runtime/bootstrap/init.ts";
import { CheckpointError } from "../run/checkpoint.ts";
import { DataError } from "../data/data_error.ts";
import { OptionError } from "../options/kinds.ts";
import { FILES, readConfig, type RunConfig } from "../run/folder.ts";
import { StoppedError } from "./stop_request.ts";
import { train } from "./train.ts";
import { TrainingError } from "./training_error.ts";

/** What every rank of a run gets on its command line: the run's folder, and a checkpoint's step. */
export type RankArguments = [directory: string, ...step: string[]];

/** What of a run's configuration all ranks need. */
type Shared = Pick<RunConfig, "id" | "options">;

/** Gives rank 0's options to all ranks. Collective. */
async function share(comm: Communicator, config: Shared | null): Promise<Shared> {
  const { id, options } = config ?? {};
  const text = new TextEncoder().encode(JSON.stringify({ id, options }));
  const length = Int32Array.of(text.length);
  await comm.bcast(length, 0);
  const bytes = comm.rank === 0 ? text : new Uint8Array(length[0]);
  await comm.bcast(bytes, 0);
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** Whether there is such a file; asked between steps, so without a turn of the event loop. */
function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) {
  try {
    await using comm = await init();
    const [directory, step] = Deno.args as RankArguments;
    const from = step === undefined ? null : Number(step);
    const config = comm.rank === 0 ? await readConfig(directory) : null;
    const { id: run, options } = await share(comm, config);
    const stops = () => isThere(join(directory, FILES.stop));
    const checkpoints = { directory, from, stops, ...run === undefined ? {} : { run } };
    await train(comm, options, {
      checkpoints,
      ...(config ? { output: { directory, config } } : {}),
    });
  } catch (thrown) {
    // What the user can mend, or what another rank's log tells, is said in one line, without a stack.
    const error = reasonOf(thrown);
    if (error instanceof StoppedError) Deno.exit(0);
    const known = [CheckpointError, DataError, OptionError, PeerLostError, TrainingError];
    if (!known.some((kind) => error instanceof kind)) throw thrown;
    console.error((error as Error).message);
    Deno.exit(1);
  }
}
