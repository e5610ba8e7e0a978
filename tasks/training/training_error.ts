import type { Communicator } from "../../runtime/communicator.ts";
import type { NamedTensor } from "../networks/safetensors.ts";
import type { Stateful } from "../run/checkpoint.ts";

/** Training itself cannot go on: the loss is no longer finite, or a proven bound is broken. */
export class TrainingError extends Error {
  /** The name of the class. */
  override readonly name = "TrainingError";
}

/** A loss, a gradient or what a rank keeps is no longer finite. */
export class DivergenceError extends TrainingError {}

/** Exit code of a rank that ends with it. */
export const DIVERGED = 65;

/** Exit code of a rank whose device cannot be opened, or fails. */
export const NO_DEVICE = 69;

/** What can be done about it. */
const WAY_OUT = "try a smaller --lr or --clip, or --on-nan";

/** Throws DivergenceError unless a step's numbers are finite. */
export function checkFinite(
  { t, rank, loss, gradNorm }: { t: number; rank: number; loss: number; gradNorm: number },
): void {
  if (Number.isFinite(loss) && Number.isFinite(gradNorm)) return;
  throw new DivergenceError(
    `training has diverged: at step ${t} rank ${rank} has loss ${loss} and gradient norm ` +
      `${gradNorm}; ${WAY_OUT} skip or rollback`,
  );
}

/**
 * Throws TrainingError if a rank is farther from the average than its bound, null for none. Lemma 1 of
 * the paper is a theorem: to exceed it means that the software is wrong.
 */
export function checkDrift(
  { t, rank, drift, bound }: { t: number; rank: number; drift: number; bound: number | null },
): void {
  // The average is rounded to float32, so a bound of 0 is met to a few units in the last place.
  if (bound === null || drift <= bound * 1.001 + 1e-4) return;
  throw new TrainingError(
    `after step ${t} rank ${rank} is ${drift} away from the average, farther than the ${bound} ` +
      "that is proven possible: this is a fault of the program",
  );
}

/** A part of a run whose numbers must be finite to be saved, see {@linkcode checkTensors}. */
export function finite(part: Stateful, comm: Communicator): Stateful {
  return {
    async save() {
      const state = await part.save();
      checkTensors({ t: comm.step ?? 0, rank: comm.rank, tensors: state.tensors });
      return state;
    },
    restore: (state) => part.restore(state),
  };
}

/** Throws DivergenceError unless all that a rank is about to save is finite: weights, statistics, momenta. */
export function checkTensors(
  { t, rank, tensors }: { t: number; rank: number; tensors: readonly NamedTensor[] },
): void {
  for (const { name, data } of tensors) {
    const at = data.findIndex((value) => !Number.isFinite(value));
    if (at < 0) continue;
    throw new DivergenceError(
      `training has diverged: after step ${t} rank ${rank} has ${
        data[at]
      } in ${name}, so no checkpoint ` +
        `is written; ${WAY_OUT} rollback`,
    );
  }
}

/** Throws DivergenceError unless an evaluation's loss is finite. */
export function checkEvaluation(t: number, split: string, loss: number): void {
  if (Number.isFinite(loss)) return;
  throw new DivergenceError(
    `training has diverged: at step ${t} the averaged weights have loss ${loss} on the ${split} ` +
      `set; ${WAY_OUT} rollback`,
  );
}
