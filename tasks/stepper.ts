/**
 * Takes steps on a device: one graph that does everything where nothing is exchanged inside the step,
 * two graphs with the exchange between them where gradients are.
 *
 * @module
 */

import { encodeModel, type Model } from "../models/mod.ts";
import type { Algorithm, Exchange as Plan, StepSize } from "../optimizers/mod.ts";
import type { Device, DeviceState, HostTensor, Session } from "../runtime/devices/device.ts";
import { type Memory, recall, recallNumber, type Remembers } from "./checkpoint.ts";
import { type Exchange, norm } from "./exchange.ts";
import { applyGraph, gradientName, gradientsGraph, type JobGraph, stepGraph } from "./graphs.ts";
import type { Feeds } from "./task.ts";

/** What a step tells. */
export interface StepResult {
  /** Mean loss over the mini-batch, before the step. */
  readonly loss: number;
  /** Norm of the gradient that the step was taken along, without weight decay. */
  readonly gradNorm: number;
  /** The norm that decided whether to clip, see `--clip-by`. */
  readonly clipNorm: number;
}

/** A network on a device, and the sessions that train it: it owns both. */
export interface Stepper extends AsyncDisposable, Remembers {
  /** Weights first, then running statistics. */
  readonly weights: DeviceState;
  /** How many floats of {@linkcode Stepper.weights} are trained weights. */
  readonly parameterCount: number;
  /**
   * Takes the gradient of a mini-batch drawn aside and averages it over the ranks; the steps that
   * follow are corrected by the difference. For steps that exchange gradients to `correct`. Collective.
   */
  correct(feeds: Feeds): Promise<void>;
  /**
   * Takes step `t`, counted from 1.
   *
   * @param gradients how its gradients are exchanged: every rank takes part
   */
  step(t: number, feeds: Feeds, size: StepSize, gradients: Plan["gradients"]): Promise<StepResult>;
}

/** What a stepper is made of. */
export interface StepperOptions {
  /** The caller's. */
  readonly device: Device;
  readonly model: Model;
  readonly batchSize: number;
  readonly algorithm: Algorithm;
  /** The ways in which the run's steps exchange gradients; they decide which graphs are needed. */
  readonly gradients: ReadonlySet<Plan["gradients"]>;
  /** Carries the gradients. */
  readonly exchange: Exchange;
  /** Decides the initial weights. */
  readonly seed: number;
}

/** Builds and compiles the graphs, and sets the weights to the seed's. */
export async function openStepper(options: StepperOptions): Promise<Stepper> {
  const { device, model, batchSize, algorithm: { update }, gradients, exchange } = options;
  await using stack = new AsyncDisposableStack();
  const allocate = async (specs: readonly { name: string; dims: readonly number[] }[]) =>
    stack.use(await device.allocate(specs.map(({ name, dims }) => ({ name, dims }))));
  const compile = async ({ graph, updates }: JobGraph, state: DeviceState[]) => {
    const bytes = encodeModel(graph, {
      target: device.kind,
      channelBlock: device.channelBlock,
    });
    return stack.use(await device.compile(bytes, { state, updates }));
  };

  const splits = gradients.has("replace") || gradients.has("norm");
  const corrects = gradients.has("correct");
  const whole = corrects || gradients.has("none") || !splits;
  const fused = whole ? stepGraph(model, batchSize, update) : null;
  const gradient = splits || corrects ? gradientsGraph(model, batchSize) : null;
  const apply = splits ? applyGraph(model, update) : null;
  const { weights: variables } = (fused ?? gradient)!;
  const { slots } = (fused ?? apply)!;
  const parameters = variables.filter(({ role }) => role === "parameter");

  const weights = await allocate(variables);
  const carried = slots.length ? await allocate(slots) : null;
  const state = carried ? [weights, carried] : [weights];
  const fusedSession = fused && await compile(fused, state);
  const held = gradient && await openGradient(gradient);
  const applySession = apply && held && await compile(apply, [...state, held.gradients]);
  await weights.edit((flat) => {
    for (const { name, initial } of variables) {
      flat.set(initial(options.seed), weights.range(name).offset);
    }
  });

  async function openGradient({ updates, ...job }: JobGraph) {
    const names = parameters.map(({ name }) => gradientName(name));
    const gradients = await allocate(parameters.map(({ dims }, i) => ({ name: names[i], dims })));
    const stored = Object.fromEntries(names.map((name) => [name, name]));
    const session = await compile({ ...job, updates: { ...updates, ...stored } }, [
      weights,
      gradients,
    ]);
    return { gradients, session };
  }

  let averageNorm = 0;
  let average: Float32Array | undefined;

  /** Forms the ranks' averaged gradient aside, and its norm. */
  async function averageAside(gradients: DeviceState): Promise<Float32Array> {
    average = await gradients.read(average);
    await exchange.average(average);
    averageNorm = norm(average);
    return average;
  }

  async function correct(feeds: Feeds): Promise<void> {
    const { gradients, session } = held!;
    await run(session, feeds);
    const own = await gradients.read(), mean = await averageAside(gradients);
    await carried!.edit((flat) => {
      for (const { name } of parameters) {
        const to = carried!.range(`${name}.correction`).offset;
        const { offset, length } = gradients.range(gradientName(name));
        for (let i = 0; i < length; i++) flat[to + i] = mean[offset + i] - own[offset + i];
      }
    });
  }

  async function step(
    t: number,
    feeds: Feeds,
    { learningRate, clipThreshold }: StepSize,
    way: Plan["gradients"],
  ): Promise<StepResult> {
    const { clipBy, dampening } = update;
    const apart = way === "replace" || way === "norm";
    let outputs: Record<string, HostTensor> = {};
    if (apart) {
      const { gradients, session } = held!;
      outputs = await run(session, feeds);
      if (way === "norm") await averageAside(gradients);
      else await gradients.edit((flat) => exchange.average(flat));
    }
    const scalars = {
      learning_rate: scalar(learningRate),
      clip_threshold: scalar(clipThreshold),
      average_grad_norm: scalar(averageNorm),
      dampening: scalar(t === 1 ? 0 : dampening),
    };
    outputs = {
      ...outputs,
      ...await run(apart ? applySession! : fusedSession!, { ...feeds, ...scalars }),
    };
    const gradNorm = number(outputs.grad_norm);
    const norms = {
      "local": gradNorm,
      "global-average": averageNorm,
      "max": Math.max(gradNorm, averageNorm),
    };
    const clipNorm = update.correct ? averageNorm : norms[clipBy];
    return { loss: number(outputs.loss), gradNorm, clipNorm };
  }

  async function save(): Promise<Memory> {
    const tensors = [];
    for (const each of state) {
      const flat = await each.read();
      for (const { name, dims } of each.specs) {
        const { offset, length } = each.range(name);
        tensors.push({ name, dims, data: flat.subarray(offset, offset + length) });
      }
    }
    return { tensors, numbers: { averageNorm } };
  }

  async function restore(memory: Memory): Promise<void> {
    for (const each of state) {
      await each.edit((flat) => {
        for (const { name } of each.specs) {
          const { offset, length } = each.range(name);
          flat.set(recall(memory, name, length), offset);
        }
      });
    }
    averageNorm = recallNumber(memory, "averageNorm");
  }

  const last = weights.range(parameters.at(-1)!.name);
  const owned = stack.move();
  return {
    weights,
    parameterCount: last.offset + last.length,
    correct,
    step,
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

/** Runs a session on those of the feeds that it takes. */
export function run(session: Session, feeds: Feeds): Promise<Record<string, HostTensor>> {
  return session.run(Object.fromEntries(session.inputs.map((name) => [name, feeds[name]])));
}
