/**
 * One rank of a run: opens what the loop needs, runs it, and writes the result. What is opened, and in which order,
 * is to be read here; how, in `opening/`.
 *
 * @module
 */

import type { Communicator } from "../../runtime/communicator.ts";
import type { VariableSpec } from "../../runtime/devices/device.ts";
import { openOncePerHost, PER_RANK } from "../../runtime/once_per_host.ts";
import type { Options } from "../options/table.ts";
import { WeightAveraging } from "../rounds/averaging.ts";
import { readConfig } from "../run/folder.ts";
import type { Summary } from "../run/metrics.ts";
import { writeModelCard } from "../run/words/model_card.ts";
import { hostsOf } from "./hosts_of.ts";
import { amongMembers } from "./membership/among_members.ts";
import type { Entrance } from "./membership/live_members.ts";
import type { Crew } from "./membership/members.ts";
import { openMembers } from "./membership/open_members.ts";
import { trainCrew } from "./membership/train_crew.ts";
import { compareRanks } from "./opening/compare_ranks.ts";
import { checkCarries } from "./opening/own_algorithm.ts";
import { openRankDevice, openSpans } from "./opening/rank_device.ts";
import { openRankStep, shareWeights } from "./opening/rank_step.ts";
import { chooseAlgorithm } from "./opening/run_algorithm.ts";
import { checkGoesOn, checkProblem, openRunProblem, stepsOf } from "./opening/run_problem.ts";
import { startOf } from "./opening/run_start.ts";
import { checkParts, type TrainParts } from "./opening/train_parts.ts";
import { writeBeginning } from "./records/beginning.ts";
import { writeTrained } from "./records/run_files.ts";

export type { TrainParts } from "./opening/train_parts.ts";
export type { RunOutput } from "./records/run_files.ts";

/** What training came to. */
export interface Trained {
  /** The same on every rank. */
  readonly summary: Summary;
  /** The averaged weights, then the running statistics: what {@linkcode Trained.specs} names. */
  readonly weights: Float32Array;
  /** Names and shapes, in the order of {@linkcode Trained.weights}. */
  readonly specs: readonly VariableSpec[];
}

/**
 * Trains, on every rank of a communicator at once; or comes to ranks that train, and goes on with them.
 *
 * @param from the ranks, which stay the caller's; or how this process comes to those of a running job, which with
 * `onFailure: "shrink"` let it in after a round, with the average. Nothing is asked of the others before that
 * @param options the same on every rank
 * @param parts the caller's own model, data, optimizer, algorithm and callbacks, and where to write
 * @throws DataError if the data is not as it should be
 * @throws OptionError if the data is too little for as many ranks as may come
 * @throws CheckpointError if the checkpoint to go on from is damaged or another run's
 * @throws RangeError if the caller's own algorithm does not fit the options, or a process comes to ranks that let
 * nobody in
 * @throws LeftError if the run has come to its end without this rank
 * @throws CallbackError if a callback throws
 * @throws TrainingError if the loss is no longer finite, a rank has drifted farther than is proven possible, the
 * checkpoint to go on from is of a later step than the run's last, or the ranks that this process came to are lost
 * before they have let it in
 */
export async function train(
  from: Communicator | Entrance,
  options: Options,
  parts: TrainParts = {},
): Promise<Trained> {
  const { callbacks = [] } = parts;
  checkParts(parts, options, "enter" in from ? null : from.rank);
  const start = startOf(from, options, parts), { comm, worlds } = start;

  await using stack = new AsyncDisposableStack();
  const spans = stack.use(openSpans(options, start));
  const device = stack.use(await openRankDevice(options, spans));
  const sharing = comm ? stack.use(await openOncePerHost(comm)) : PER_RANK;
  const problem = await openRunProblem(start, options, parts, device.kind, sharing);
  stack.use(problem.opened);
  checkProblem(problem, start, options);
  const { task, model } = problem, steps = stepsOf(task, options);
  checkGoesOn(start, steps);

  const extent = { task, steps };
  const { algorithm, gradients, compress } = chooseAlgorithm(start, options, parts, extent);
  const averaging = comm && new WeightAveraging(comm, compress);
  const anyCallbacks = await compareRanks(comm, options, task, callbacks.length > 0);
  const stepParts = { device, problem, algorithm, gradients, averaging, sharing };
  const trainStep = stack.use(await openRankStep(start, options, stepParts));
  if (parts.algorithm) checkCarries(algorithm, gradients, trainStep.carries);
  if (comm) await shareWeights(comm, trainStep);

  const hostsAmong = (comm: Communicator) => hostsOf(comm, device.description);
  const hosts = comm ? await hostsAmong(comm) : [];
  if (start.output) {
    const beginning = { device: device.description, hosts, task, steps, trainStep };
    await writeBeginning(start.output, options, parts, beginning);
  }

  const members = await openMembers(start, options, { anyCallbacks, hostsOf: hostsAmong });
  const among = (crew: Crew) =>
    trainCrew(crew, {
      ...{ options, device, problem, algorithm, trainStep, compress, callbacks, anyCallbacks },
      ...{ hosts, spans, checkpoints: start.checkpoints, output: parts.output },
      first: start.replay || !averaging ? null : { task, averaging },
      sharing: members ? undefined : sharing,
      members: members ?? undefined,
    });
  const { summary, weights, writes } = members
    ? await amongMembers(members, among)
    : await among({ comm: comm!, worlds });

  const { specs } = trainStep.weights;
  // What trained a large model makes room for its files.
  await stack.disposeAsync();
  if (writes) {
    const { directory } = writes;
    await writeTrained(directory, options, { model, weights, specs });
    await writeModelCard(directory, await readConfig(directory), summary);
  }
  await members?.end?.(true);
  return { summary, weights, specs };
}
