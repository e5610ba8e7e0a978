/**
 * Takes steps on a device: a model's weights there, what its optimizer keeps, and the graphs that move
 * them on.
 *
 * @module
 */

import {
  CLIP_RULES,
  type Communication,
  type StepSize,
  type WeightsSize,
} from "../../optimizers/mod.ts";
import type { DeviceState, HostTensor, VariableSpec } from "../../runtime/devices/device.ts";
import { PER_RANK } from "../../runtime/once_per_host.ts";
import type { WeightAveraging } from "../rounds/averaging.ts";
import type { RuleStates } from "../rounds/round.ts";
import { loadNumber, loadTensor, type StateDict, type Stateful } from "../run/checkpoint.ts";
import type { Batch, Feeds } from "../task.ts";
import { type GradientBatch, Gradients } from "./gradients.ts";
import { sessionsOf, type StepSessionsOptions } from "./step_sessions.ts";
import { scalar } from "./scalar.ts";
import { FusedStep, SplitStep, type StepGraphs } from "./step_graphs.ts";
import { WeightAverages } from "./weight_averages.ts";

/** What a step tells. */
export interface StepResult {
  /** Mean loss over the mini-batch, before the step. */
  readonly loss: number;
  /** Norm of the gradient that the step was taken along, without weight decay. */
  readonly gradNorm: number;
  /** The norm that decided whether to clip, see `--clip-by`; 0 where the rank sat the step out. */
  readonly clipNorm: number;
  /** Share of the step's parts that were clipped, where they are clipped by themselves; else absent. */
  readonly clippedShare?: number;
  /** The step was not taken, since its loss or its gradient is not finite; absent otherwise. */
  readonly skipped?: true;
}

/** Whom a step is for. */
export interface StepExtent {
  /**
   * The ranks that take the step. The others take none: their weights and all that their optimizer keeps stay
   * as they are, unless the algorithm lets them wait for the average gradient, from which all go on.
   *
   * @default {all}
   */
  readonly participants?: readonly number[];
  /** Whether the weights that it leads to enter the average over the steps. @default {true} */
  readonly averaged?: boolean;
}

/** A step that was submitted. */
export interface SubmittedStep {
  /** Whether {@linkcode SubmittedStep.result} resolves without waiting for the device. */
  readonly ready: boolean;
  /** What it tells. To ask waits for the device, see `Submission.outputs`. */
  result(): Promise<StepResult>;
}

/** What a {@linkcode TrainStep} is made of. */
export interface TrainStepOptions extends StepSessionsOptions {
  /** How the run's steps exchange gradients; that decides which graphs are needed. */
  readonly gradients: ReadonlySet<Communication["gradients"]>;
  /** Carries the gradients; null where they are exchanged with nobody. */
  readonly averaging: WeightAveraging | null;
  /** Decides the initial weights and all masks. */
  readonly seed: number;
  /** This rank, until {@linkcode TrainStep.who} says otherwise; decides the masks. */
  readonly rank: number;
  /** D of the exponential moving average of the weights; null: there is none. @default {null} */
  readonly ema?: number | null;
  /** Whether this rank may have to sit steps out. @default {false} */
  readonly sitsOut?: boolean;
}

/** What lives on the device. */
interface DeviceParts {
  /** Weights first, then running statistics. */
  readonly weights: DeviceState;
  /** What each rank carries from step to step; null if there is nothing. */
  readonly carries: DeviceState | null;
  /** The optimizer's own tensors; null if it has none. */
  readonly slots: DeviceState | null;
  readonly gradients: Gradients | null;
}

/** The graphs that take steps, as far as the run needs them. */
interface StepGraphsInUse {
  readonly fused: FusedStep | null;
  readonly split: SplitStep | null;
}

/**
 * A model on a device, and the sessions that train it: it owns both. What is asked of it, and of its
 * weights, takes place in the order of the calls.
 */
export class TrainStep implements Stateful, AsyncDisposable {
  /** Trained weights first, then running statistics. */
  readonly weights: DeviceState;
  /** How many floats of {@linkcode TrainStep.weights} are trained. */
  readonly parameterCount: number;
  readonly #options: TrainStepOptions;
  readonly #parts: DeviceParts;
  #graphs: StepGraphsInUse;
  /** This rank's number in the run, which decides the masks, and its place among the ranks there are. */
  who: { readonly number: number; readonly place: number };
  #averages: WeightAverages | null = null;
  /** Updates that this rank has taken. */
  #updates = 0;
  /** Norm of the last average of gradients that is known; 0 before the first. */
  #averageNorm = 0;
  /** Steps whose gradients are summed up, where the algorithm does that. */
  #summed = 0;
  readonly #owned: AsyncDisposableStack;

  /** Builds and compiles the graphs, and sets the weights to the seed's. Collective over those that share. */
  static async open(options: TrainStepOptions): Promise<TrainStep> {
    const { device, gradients: sync, averaging, seed, sharing = PER_RANK } = options;
    const { algorithm: { controls }, sitsOut = false, accumulate = 1, ema = null } = options;
    const average = ema !== null;
    await using stack = new AsyncDisposableStack();
    const allocate = async (specs: readonly VariableSpec[]) =>
      specs.length > 0 ? stack.use(await device.allocate(specs.map(shape))) : null;
    const splits = accumulate > 1 || sync.has("replace") || sync.has("norm") || sync.has("collect");
    const corrects = sync.has("correct");
    const aside = corrects || sitsOut || (controls?.start ?? 0) > 0;
    const whole = accumulate === 1 && (corrects || sync.has("none") || !splits);
    const fused = whole ? sessionsOf(options, "fused", average) : null;
    const apply = splits ? sessionsOf(options, "apply", average) : null;
    const backward = splits || aside ? sessionsOf(options, "gradients") : null;
    const { weights: variables, carries } = (fused ?? backward)!.sample;
    const { slots, averages } = (fused ?? apply)!.sample;
    const parameters = variables.filter(({ role }) => role === "parameter");
    const weights = (await allocate(variables))!;
    const parts: DeviceParts = {
      weights,
      carries: await allocate(carries),
      slots: await allocate(slots),
      gradients: backward &&
        stack.use(
          await Gradients.open(device, parameters, backward, averaging, sync.has("collect")),
        ),
    };
    const graphs = {
      fused: fused && new FusedStep(fused),
      split: apply && new SplitStep(apply, parts.gradients!),
    };
    const { offset, length } = weights.range(parameters.at(-1)!.name);
    await using opened = new AsyncDisposableStack();
    const step = opened.use(new TrainStep(options, parts, graphs, offset + length, stack.move()));
    if (average) {
      step.#averages = new WeightAverages(await device.allocate(averages.map(shape)), ema);
    }
    for (const each of step.#inUse) await each.bind(step.#states);
    await parts.gradients?.bind(step.#states);
    await weights.edit((flat) =>
      sharing.fill(flat, () => {
        for (const { name, initial } of variables) {
          flat.set(initial(seed), weights.range(name).offset);
        }
      })
    );
    opened.move();
    return step;
  }

  private constructor(
    options: TrainStepOptions,
    parts: DeviceParts,
    graphs: StepGraphsInUse,
    parameterCount: number,
    owned: AsyncDisposableStack,
  ) {
    this.weights = parts.weights;
    this.parameterCount = parameterCount;
    this.#options = options;
    this.who = { number: options.rank, place: options.rank };
    this.#parts = parts;
    this.#graphs = graphs;
    this.#owned = owned;
  }

  /** The trained weights averaged over the steps; null while that has not begun. */
  get averages(): WeightAverages | null {
    return this.#averages;
  }

  /** How large the trained weights are. */
  get size(): WeightsSize {
    const trained = this.weights.specs
      .filter(({ name }) => this.weights.range(name).offset < this.parameterCount);
    return { parameters: trained.length, floats: this.parameterCount };
  }

  get #inUse(): StepGraphs[] {
    return [this.#graphs.fused, this.#graphs.split].filter((each) => each !== null);
  }

  /** All that a step moves on, in the order of a checkpoint. */
  get #states(): DeviceState[] {
    const { weights, carries, slots } = this.#parts;
    return [weights, carries, slots, this.#averages?.state ?? null].filter((each) => each !== null);
  }

  /** What the update rule keeps of all parameters; null if that is nothing. */
  get ruleStates(): RuleStates | null {
    const { slots } = this.#parts, { states } = this.#options.algorithm.update.rule;
    const first = slots?.specs.find(({ name }) =>
      states.some((state) => name.endsWith(`.${state}`))
    );
    if (!slots || !first) return null;
    // They are the last of the slots, after those of the algorithm.
    const { offset } = slots.range(first.name);
    return { edit: (use) => slots.edit((flat) => use(flat.subarray(offset))) };
  }

  /** From the next step on, averages the weights over the steps. */
  async startAveraging(): Promise<void> {
    if (this.#averages) return;
    const { fused, split } = this.#graphs, { gradients } = this.#parts;
    // First the old sessions go: two of a large model are much memory.
    for (const each of this.#inUse) await each[Symbol.asyncDispose]();
    this.#graphs = {
      fused: fused && new FusedStep(sessionsOf(this.#options, "fused", true)),
      split: split && new SplitStep(sessionsOf(this.#options, "apply", true), gradients!),
    };
    const { averages } = this.#inUse[0].sample;
    this.#averages = new WeightAverages(await this.#options.device.allocate(averages.map(shape)));
    for (const each of this.#inUse) await each.bind(this.#states);
  }

  /**
   * Takes the gradient of a mini-batch drawn aside and averages it over the ranks; the steps that
   * follow are corrected by the difference. For steps that exchange gradients to `correct`. Collective.
   *
   * @param t what the batch is called, for its dropout masks
   * @param participants the ranks whose gradients count; the others are not corrected. All of them by default
   */
  async correct(t: number, batch: Batch, participants?: readonly number[]): Promise<void> {
    const gradients = this.#parts.gradients!;
    const local = (await this.gradientAside(t, batch)).slice();
    const mean = await gradients.averageAside(participants);
    if (participants && !participants.includes(this.who.place)) return;
    await this.setCorrection(mean.map((value, i) => value - local[i]), gradients.averageNorm);
  }

  /**
   * Takes the gradient of a mini-batch at the weights as they are, and leaves all else.
   *
   * @param t what the batch is called, for its dropout masks
   * @returns the parameters' gradients, in their order; they hold until the next step
   */
  async gradientAside(t: number, batch: Batch): Promise<Float32Array> {
    const gradients = this.#parts.gradients!;
    await gradients.take(this.#feedsOf(t, batch), batch.length);
    return await gradients.state.read();
  }

  /**
   * Says what is added to the gradients of the steps that follow, where the algorithm corrects them.
   *
   * @param correction in the order of the parameters
   * @param norm the norm that decides whether to clip, where that is one for a whole round
   */
  async setCorrection(correction: Float32Array, norm: number): Promise<void> {
    this.#averageNorm = norm;
    await this.#editSlots("correction", (slot, offset) => {
      slot.set(correction.subarray(offset, offset + slot.length));
    });
  }

  /**
   * The mean of the gradients that steps were taken along since the last call, before they were corrected, in
   * the order of the parameters; null if there was no step. For algorithms with control variates.
   */
  async takeMeanGradient(): Promise<Float32Array | null> {
    const steps = this.#summed, mean = new Float32Array(this.parameterCount);
    if (steps === 0) return null;
    this.#summed = 0;
    await this.#editSlots("gradient_sum", (slot, offset) => {
      for (let i = 0; i < slot.length; i++) mean[offset + i] = slot[i] / steps;
      slot.fill(0);
    });
    return mean;
  }

  /** Edits what the optimizer keeps of each parameter under a name. */
  async #editSlots(what: string, edit: (slot: Float32Array, offset: number) => void) {
    const slots = this.#parts.slots!;
    await slots.edit((flat) => {
      for (const { name } of this.weights.specs) {
        const { offset } = this.weights.range(name);
        if (offset >= this.parameterCount) continue;
        const slot = slots.range(`${name}.${what}`);
        edit(flat.subarray(slot.offset, slot.offset + slot.length), offset);
      }
    });
  }

  /**
   * Submits step `t`, counted from 1: on a GPU it is in flight when the promise resolves, on the CPU it
   * is over.
   *
   * @param batch its arrays may be filled anew when the promise resolves
   * @param size η and γ of this very batch
   * @param gradientSync how its gradients are exchanged: every rank takes part
   */
  async submit(
    t: number,
    batch: Batch,
    size: StepSize,
    gradientSync: Communication["gradients"],
    { participants, averaged = true }: StepExtent = {},
  ): Promise<SubmittedStep> {
    const { undrawn, controls } = this.#options.algorithm, replaces = gradientSync === "replace";
    const included = participants?.includes(this.who.place) ?? true;
    const feeds = this.#feedsOf(t, batch);
    if (gradientSync === "collect" || !included && !replaces) {
      const gradients = this.#parts.gradients!, outputs = await gradients.take(feeds, batch.length);
      return this.#noUpdate(outputs, included ? await gradients.keep() : await gradients.norm());
    }
    const separate = replaces || gradientSync === "norm" || batch.parts !== undefined;
    const graphs: StepGraphs = separate ? this.#graphs.split! : this.#graphs.fused!;
    const among = { ranks: participants, included, forAll: undrawn === "waits" };
    const batches = separate ? this.#gradientBatches(t, batch) : [];
    const known = await graphs.exchange(batches, gradientSync, among);
    if (!included && !among.forAll) return this.#noUpdate(known, number(known.grad_norm));
    if (gradientSync === "norm") this.#averageNorm = this.#parts.gradients!.averageNorm;
    if (controls) this.#summed++;
    const averageNorm = this.#averageNorm;
    const submission = await graphs.submit(
      { ...feeds, ...this.#scalars(t, size, averaged) },
      batch.length,
    );
    return {
      ready: submission.ready,
      result: async () => this.#resultOf({ ...known, ...await submission.outputs() }, averageNorm),
    };
  }

  /** What is known of a step that moves nothing. */
  #noUpdate(outputs: Record<string, HostTensor>, gradNorm: number): SubmittedStep {
    const { model } = this.#options;
    const result = { loss: number(outputs[model.logged ?? "loss"]), gradNorm, clipNorm: 0 };
    return { ready: true, result: () => Promise.resolve(result) };
  }

  /** The mini-batches of step `t`; each has masks of its own. */
  #gradientBatches(t: number, batch: Batch): GradientBatch[] {
    const { parts = [batch] } = batch;
    return parts.map((part, i) => ({
      feeds: this.#feedsOf((t - 1) * parts.length + i + 1, part),
      length: part.length,
    }));
  }

  #feedsOf(t: number, { feeds, length = 1 }: Batch): Feeds {
    const { model, batchSize, seed } = this.#options, { number: rank } = this.who;
    return { ...feeds, ...model.masks?.(batchSize, { seed, rank, step: t - 1 }, length) };
  }

  #scalars(t: number, { learningRate, clipThreshold }: StepSize, averaged: boolean): Feeds {
    const { algorithm: { update: { rule, transform } } } = this.#options;
    const own = Object.entries({ ...transform?.feeds(t), ...rule.feeds(++this.#updates) });
    return {
      ...Object.fromEntries(own.map(([name, value]) => [name, scalar(value)])),
      learning_rate: scalar(learningRate),
      clip_threshold: scalar(clipThreshold),
      average_grad_norm: scalar(this.#averageNorm),
      average_weight: scalar(averaged && this.#averages ? this.#averages.next() : 0),
    };
  }

  #resultOf(outputs: Record<string, HostTensor>, averageNorm: number): StepResult {
    const { model, algorithm: { update: { clipBy, clipsRound } } } = this.#options;
    const gradNorm = number(outputs.grad_norm), { deciding } = CLIP_RULES[clipBy];
    const clipNorm = clipsRound ? averageNorm : deciding?.(gradNorm, averageNorm) ?? gradNorm;
    const parts = outputs.clipped_share ? { clippedShare: number(outputs.clipped_share) } : {};
    const skipped = outputs.taken && number(outputs.taken) === 0 ? { skipped: true } as const : {};
    const loss = number(outputs[model.logged ?? "loss"]);
    return { loss, gradNorm, clipNorm, ...parts, ...skipped };
  }

  /** Weights, what is carried, the optimizer's tensors, averages. */
  async save(): Promise<StateDict> {
    const tensors = [];
    for (const state of this.#states) {
      const flat = await state.read();
      for (const { name, dims } of state.specs) {
        const { offset, length } = state.range(name);
        tensors.push({ name, dims, data: flat.subarray(offset, offset + length) });
      }
    }
    const kept = await this.#parts.gradients?.save();
    const averaging = this.#averages ? 1 : 0, averaged = this.#averages?.steps ?? 0;
    const numbers = {
      averageNorm: this.#averageNorm,
      averaged,
      averaging,
      updates: this.#updates,
      summed: this.#summed,
    };
    return {
      tensors: [...tensors, ...kept?.tensors ?? []],
      numbers: { ...numbers, ...kept?.numbers },
    };
  }

  /** Goes on from there. */
  async restore(saved: StateDict): Promise<void> {
    if (loadNumber(saved, "averaging")) await this.startAveraging();
    for (const state of this.#states) {
      await state.edit((flat) => {
        for (const { name } of state.specs) {
          const { offset, length } = state.range(name);
          flat.set(loadTensor(saved, name, length), offset);
        }
      });
    }
    const averaged = loadNumber(saved, "averaged");
    this.#averageNorm = loadNumber(saved, "averageNorm");
    if (this.#averages) this.#averages.steps = averaged;
    // Checkpoints of earlier versions do not have it, and are SGD's, which asks for the first alone.
    this.#updates = saved.numbers.updates ?? 1;
    if (this.#options.algorithm.controls) this.#summed = loadNumber(saved, "summed");
    await this.#parts.gradients?.restore(saved);
  }

  /** Whether the model hands anything from step to step. */
  get carries(): boolean {
    return this.#parts.carries !== null;
  }

  /** Sets what is carried from step to step to zero, as before the first step. */
  async clearCarries(): Promise<void> {
    await this.#parts.carries?.edit((flat) => void flat.fill(0));
  }

  /** Disposes of the sessions and of all that is on the device. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#inUse) await each[Symbol.asyncDispose]();
    await this.#averages?.[Symbol.asyncDispose]();
    await this.#owned.disposeAsync();
  }
}

const shape = ({ name, dims }: VariableSpec): VariableSpec => ({ name, dims });

const number = ({ data }: HostTensor): number => Number(data[0]);
