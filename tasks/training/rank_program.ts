/**
 * The program that every rank of a training run executes. Its arguments are the run's folder, whose
 * `config.json` only rank 0 reads, and what is this host's own. On other hosts than rank 0's the folder need
 * not exist.
 *
 * @module
 */

import { join } from "node:path";
import { MissingPackageError } from "../../deps.ts";
import type { Communicator } from "../../runtime/communicator.ts";
import { PeerLostError, reasonOf } from "../../runtime/base/errors.ts";
import { processEnvironment } from "../../runtime/bootstrap/environment.ts";
import { init } from "../../runtime/bootstrap/init.ts";
import { DeviceError } from "../../runtime/devices/faults/device_error.ts";
import { CheckpointError } from "../run/checkpoint.ts";
import { DataError } from "../data/data_error.ts";
import { OptionError } from "../options/kinds.ts";
import type { Options } from "../options/table.ts";
import { broadcastText } from "../run/byte_stream.ts";
import { FILES, readConfig, type RunConfig, type SharedConfig, sharedOf } from "../run/folder.ts";
import { WriteError } from "../run/write_error.ts";
import { LeftError } from "./membership/members.ts";
import { sendData } from "./sent_data.ts";
import { StoppedError } from "./requests.ts";
import { train } from "./train.ts";
import { DIVERGED, DivergenceError, NO_DEVICE, TrainingError } from "./training_error.ts";

/** What every rank of a run gets on its command line: the run's folder, and a {@linkcode RankPlace} as JSON. */
export type RankArguments = [directory: string, place: string];

/** What a rank is told that is not the same on every host. */
export interface RankPlace {
  /** The step of the checkpoint to go on from; null to begin at the beginning. */
  readonly from: number | null;
  /** This host's device, if not that of the options. */
  readonly device?: Options["device"];
  /** This host's folder of the data set, if not that of the options. */
  readonly data?: string;
  /** Whether rank 0 sends the data set's files to that folder. @default {false} */
  readonly receives?: boolean;
  /** Where ranks of this host keep their parts of checkpoints, if they do not go to rank 0. */
  readonly local?: string;
  /** Where ranks of this host make files that they alone read. @default {the run's folder} */
  readonly folder?: string;
  /** The run, for ranks that come while it goes on: others hear of it from rank 0. @default {nobody comes} */
  readonly config?: SharedConfig;
}

/** What the learning rate is scaled by each time that a run goes back because it diverged. */
const ROLLBACK_SCALE = 0.5;

/** Gives rank 0's options to all ranks. Collective. */
async function share(comm: Communicator, config: RunConfig | null): Promise<SharedConfig> {
  return JSON.parse(await broadcastText(comm, config && JSON.stringify(sharedOf(config))));
}

/** The rank in whose stead this process has been started; null: it is one that the job began with. */
function comesInStead(): { readonly stead: number | null } | null {
  if (processEnvironment("CELGC_NEWCOMER") === undefined) return null;
  const stead = processEnvironment("CELGC_STEAD");
  return { stead: stead === undefined ? null : Number(stead) };
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

/**
 * Leaves a scheduler's signals to the launcher: Slurm sends them to all processes of a job, and ranks that ended
 * by them could not write the checkpoint for which the launcher asks.
 */
function leaveSignals(): void {
  if (Deno.build.os === "windows") return;
  for (const name of ["SIGTERM", "SIGUSR1"] as const) Deno.addSignalListener(name, () => {});
}

/** The exit code of an error whose message says enough, 0 for an end that was asked for; null: it says too little. */
function codeOf(error: unknown): number | null {
  if (error instanceof StoppedError || error instanceof LeftError) return 0;
  if (error instanceof DivergenceError) return DIVERGED;
  if (error instanceof DeviceError) return NO_DEVICE;
  const known = [
    ...[CheckpointError, DataError, MissingPackageError, OptionError],
    ...[PeerLostError, TrainingError, WriteError],
  ];
  return known.some((kind) => error instanceof kind) ? 1 : null;
}

if (import.meta.main) {
  leaveSignals();
  try {
    const [directory, json] = Deno.args as RankArguments, newcomer = comesInStead();
    const place: RankPlace = JSON.parse(json);
    const { from, device, data, receives = false, local, folder = directory } = place;
    await using stack = new AsyncDisposableStack();
    // One that comes makes ready before it is let in: the others do not wait for that.
    let comm = newcomer ? null : stack.use(await init());
    const config = comm?.rank === 0 ? await readConfig(directory) : null;
    const shared = comm ? await share(comm, config) : place.config!;
    const { id: run, worlds, replay, rollbacks = [], restarts = [] } = shared;
    const options: Options = {
      ...shared.options,
      lr: shared.options.lr * ROLLBACK_SCALE ** rollbacks.length,
      ...device === undefined ? {} : { device },
      ...data === undefined ? {} : { data },
    };
    if (options.sendData && comm) await sendData(comm, options, receives);
    const stops = () => isThere(join(directory, FILES.stop));
    const checkpoints = {
      ...{ directory, local, from, stops, run },
      ...{ rollbacks: rollbacks.length, restarts: restarts.length },
    };
    const enter = async () => comm = stack.use(await init());
    try {
      await train(comm ?? { ...newcomer!, enter }, options, {
        checkpoints,
        worlds,
        replay,
        folder,
        // Which rank writes may change.
        output: { directory, ...config ? { config } : {} },
      });
    } catch (thrown) {
      const error = reasonOf(thrown), code = codeOf(error);
      // The others go on without a rank that was lost, and not without one that has found a fault.
      const isLost = code === 0 || error instanceof PeerLostError || comm === null;
      if (options.onFailure !== "shrink" || isLost) throw thrown;
      const { message } = error as Error;
      console.error(code === null ? error : message);
      await comm!.abort(code ?? 1, message);
    }
  } catch (thrown) {
    // What the user can mend, or what another rank's log tells, is said in one line, without a stack.
    const error = reasonOf(thrown), code = codeOf(error);
    if (code === null) throw thrown;
    if (code !== 0) console.error((error as Error).message);
    Deno.exit(code);
  }
}
