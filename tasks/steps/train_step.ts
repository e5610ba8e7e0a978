/**
 * Takes steps on a device: one graph that does everything where nothing is exchanged inside the step,
 * two graphs with the exchange between them where gradients are.
 *
 * @module
 */

import {
  type Algorithm,
  averageWeight,
  type Communication as Plan,
  type StepSize,
} from "../../optimizers/mod.ts";
import type { Device, DeviceState, HostTensor } from "../../runtime/devices/device.ts";
import { loadNumber, loadTensor, type StateDict, type Stateful } from "../run/checkpoint.ts";
import { norm, type WeightAveraging } from "../rounds/averaging.ts";
import {
  applyGraph,
  gradientName,
  gradientsGraph,
  type GraphShape,
  stepGraph,
  type TrainingGraph,
} from "../networks/graphs.ts";
import { Sessions } from "./sessions.ts";
import { type OncePerHost, PER_RANK } from "../../runtime/once_per_host.ts";
import type { Batch, TrainableModel } from "../task.ts";

/** What a step tells. */
export interface StepResult {
  /** Mean loss over the mini-batch, before the step. */
  readonly loss: number;
  /** Norm of the gradient that the step was taken along, without weight decay. */
  readonly gradNorm: number;
  /** The norm that decided whether to clip, see `--clip-by`. */
  readonly clipNorm: number;
}

/** A step that was submitted. */
export interface SubmittedStep {
  /** Whether {@linkcode SubmittedStep.result} resolves without waiting for the device. */
  readonly ready: boolean;
  /** What it tells. To ask waits for the device, see `Submission.outputs`. */
  result(): Promise<StepResult>;
}

/**
 * A network on a device, and the sessions that train it: it owns both. What is asked of it, and of its
 * weights, takes place in the order of the calls.
 */
export interface TrainStep extends AsyncDisposable, Stateful {
  /** Weights first, then running statistics. */
  readonly weights: DeviceState;
  /** How many floats of {@linkcode TrainStep.weights} are trained weights. */
  readonly parameterCount: number;
  /** The trained weights averaged over the steps, in their order; null while that has not begun. */
  readonly averages: DeviceState | null;
  /** Over how many steps. */
  readonly averagedSteps: number;
  /** From the next step on, averages the weights over the steps. */
  startAveraging(): Promise<void>;
  /**
   * Takes the gradient of a mini-batch drawn aside and averages it over the ranks; the steps that
   * follow are corrected by the difference. For steps that exchange gradients to `correct`. Collective.
   *
   * @param t what the batch is called, for its dropout masks
   */
  correct(t: number, batch: Batch): Promise<void>;
  /**
   * Submits step `t`, counted from 1: on a GPU it is under way when the promise resolves, on the CPU it
   * is over.
   *
   * @param batch its arrays may be filled anew when the promise resolves
   * @param size η and γ of this very batch
   * @param gradients how its gradients are exchanged: every rank takes part
   */
  submit(
    t: number,
    batch: Batch,
    size: StepSize,
    gradients: Plan["gradients"],
  ): Promise<SubmittedStep>;
}

/** What a stepper is made of. */
export interface TrainStepOptions {
  /** The caller's. */
  readonly device: Device;
  readonly network: TrainableModel;
  readonly batchSize: number;
  /** The length of the first step's batch. @default {1} */
  readonly length?: number;
  readonly algorithm: Algorithm;
  /** The ways in which the run's steps exchange gradients; they decide which graphs are needed. */
  readonly gradients: ReadonlySet<Plan["gradients"]>;
  /** Carries the gradients. */
  readonly exchange: WeightAveraging;
  /** Decides the initial weights and all masks. */
  readonly seed: number;
  /** Decides the masks. */
  readonly rank: number;
  /** Who else makes the same graphs and weights. @default {ALONE} */
  readonly sharing?: OncePerHost;
}

/** Builds and compiles the graphs, and sets the weights to the seed's. */
export async function openTrainStep(options: TrainStepOptions): Promise<TrainStep> {
  const { device, network, batchSize, algorithm: { update }, exchange, seed, rank } = options;
  const { sharing = PER_RANK } = options;
  await using stack = new AsyncDisposableStack();
  type Specs = readonly { name: string; dims: readonly number[] }[];
  const room = (specs: Specs) => device.allocate(specs.map(({ name, dims }) => ({ name, dims })));
  const allocate = async (specs: Specs) => specs.length ? stack.use(await room(specs)) : null;
  const { length: first = 1 } = options;
  const { anyLength } = network;
  const prepare = (build: (shape: GraphShape) => TrainingGraph) => {
    const ofLength = (length: number) => build({ batchSize, length });
    return new Sessions({ device, length: first, anyLength, build: ofLength, sharing });
  };

  const splits = options.gradients.has("replace") || options.gradients.has("norm");
  const corrects = options.gradients.has("correct");
  const whole = corrects || options.gradients.has("none") || !splits;
  /** The graphs that take the step, with or without averages of the weights. */
  const steps = (average: boolean) => ({
    fused: whole ? prepare((shape) => stepGraph(network, shape, update, { average })) : null,
    apply: splits
      ? new Sessions({ device, build: () => applyGraph(network, update, { average }), sharing })
      : null,
  });
  let { fused, apply } = steps(false);
  const gradient = splits || corrects ? prepare((shape) => gradientsGraph(network, shape)) : null;
  const { weights: variables, carries } = (fused ?? gradient)!.sample;
  const { slots } = (fused ?? apply)!.sample;
  const parameters = variables.filter(({ role }) => role === "parameter");

  const weights = (await allocate(variables))!;
  const carried = await allocate(carries), slotted = await allocate(slots);
  const state = [weights, carried, slotted].filter((each) => each !== null);
  const names = parameters.map(({ name }) => gradientName(name));
  const gradients = gradient &&
    await allocate(parameters.map(({ dims }, i) => ({ name: names[i], dims })));
  const bindSteps = async () => {
    const all = averages ? [...state, averages] : state;
    await fused?.bind(all);
    await apply?.bind([...all, gradients!]);
  };
  let averages: DeviceState | null = null, averaged = 0;
  stack.defer(async () => {
    await fused?.[Symbol.asyncDispose]();
    await apply?.[Symbol.asyncDispose]();
    await averages?.[Symbol.asyncDispose]();
  });
  await bindSteps();
  if (gradient) {
    stack.use(gradient);
    const stored = Object.fromEntries(names.map((name) => [name, name]));
    await gradient.bind([...state, gradients!], stored);
  }
  await weights.edit((flat) =>
    sharing.fill(flat, () => {
      for (const { name, initial } of variables) {
        flat.set(initial(seed), weights.range(name).offset);
      }
    })
  );

  let averageNorm = 0;
  let average: Float32Array | undefined;
  const feedsOf = (t: number, { feeds, length = 1 }: Batch) => ({
    ...feeds,
    ...network.masks?.(batchSize, { seed, rank, step: t - 1 }, length),
  });

  /** Forms the ranks' averaged gradient aside, and its norm. */
  async function averageAside(): Promise<Float32Array> {
    average = await gradients!.read(average);
    await exchange.average(average);
    averageNorm = norm(average);
    return average;
  }

  async function correct(t: number, batch: Batch): Promise<void> {
    await gradient!.run(feedsOf(t, batch), batch.length);
    const own = await gradients!.read(), mean = await averageAside();
    await slotted!.edit((flat) => {
      for (const { name } of parameters) {
        const to = slotted!.range(`${name}.correction`).offset;
        const { offset, length } = gradients!.range(gradientName(name));
        for (let i = 0; i < length; i++) flat[to + i] = mean[offset + i] - own[offset + i];
      }
    });
  }

  async function submit(
    t: number,
    batch: Batch,
    { learningRate, clipThreshold }: StepSize,
    way: Plan["gradients"],
  ): Promise<SubmittedStep> {
    const { clipBy, dampening } = update;
    const apart = way === "replace" || way === "norm";
    const feeds = feedsOf(t, batch);
    let found: Record<string, HostTensor> = {};
    if (apart) {
      found = await gradient!.run(feeds, batch.length);
      if (way === "norm") await averageAside();
      else await gradients!.edit((flat) => exchange.average(flat));
    }
    const scalars = {
      learning_rate: scalar(learningRate),
      clip_threshold: scalar(clipThreshold),
      average_grad_norm: scalar(averageNorm),
      dampening: scalar(t === 1 ? 0 : dampening),
      average_weight: scalar(averages ? averageWeight(++averaged) : 0),
    };
    const all = { ...feeds, ...scalars };
    const submission = await (apart ? apply!.submit(all) : fused!.submit(all, batch.length));
    const common = averageNorm;
    const result = async () => {
      const outputs = { ...found, ...await submission.outputs() };
      const gradNorm = number(outputs.grad_norm);
      const norms = {
        "local": gradNorm,
        "global-average": common,
        "max": Math.max(gradNorm, common),
      };
      const clipNorm = update.correct ? common : norms[clipBy];
      return { loss: number(outputs[network.logged ?? "loss"]), gradNorm, clipNorm };
    };
    return { ready: submission.ready, result };
  }

  async function startAveraging(): Promise<void> {
    if (averages) return;
    // First the old sessions go: two of a large network are much memory.
    for (const sessions of [fused, apply]) await sessions?.[Symbol.asyncDispose]();
    ({ fused, apply } = steps(true));
    averages = await room((fused ?? apply)!.sample.averages);
    await bindSteps();
  }

  const states = () => averages ? [...state, averages] : state;

  async function save(): Promise<StateDict> {
    const tensors = [];
    for (const each of states()) {
      const flat = await each.read();
      for (const { name, dims } of each.specs) {
        const { offset, length } = each.range(name);
        tensors.push({ name, dims, data: flat.subarray(offset, offset + length) });
      }
    }
    return { tensors, numbers: { averageNorm, averaged, averaging: averages ? 1 : 0 } };
  }

  async function restore(memory: StateDict): Promise<void> {
    if (loadNumber(memory, "averaging")) await startAveraging();
    for (const each of states()) {
      await each.edit((flat) => {
        for (const { name } of each.specs) {
          const { offset, length } = each.range(name);
          flat.set(loadTensor(memory, name, length), offset);
        }
      });
    }
    averageNorm = loadNumber(memory, "averageNorm");
    averaged = loadNumber(memory, "averaged");
  }

  const last = weights.range(parameters.at(-1)!.name);
  const owned = stack.move();
  return {
    weights,
    parameterCount: last.offset + last.length,
    get averages() {
      return averages;
    },
    get averagedSteps() {
      return averaged;
    },
    startAveraging,
    correct,
    submit,
    save,
    restore,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const scalar = (value: number): HostTensor => ({
  type: "float32",
  dims: [],
  data: Float32Array.of(value),
});

const number = ({ data }: HostTensor): number => Number(data[0]);
