/**
 * The networks that benchmarks train, and what a step of each is fed: `resnet20`, `resnet56`, … on images of
 * CIFAR-10's size, `awd-lstm` at Penn Treebank's size with windows of 70 steps of time, or
 * `gpt-nano` on windows of its context; `lstm-tiny` and `gpt-tiny`, whose graphs are theirs and whose
 * sizes are next to nothing.
 *
 * @module
 */

import { differentiate } from "../../../models/autodiff.ts";
import { awdLstm } from "../../../models/architectures/awd_lstm.ts";
import { gpt } from "../../../models/architectures/gpt.ts";
import { type ModelGraph, parametersOf } from "../../../models/model.ts";
import { resnet } from "../../../models/architectures/resnet.ts";
import { appendClippedStep, PLAIN_STEP } from "../../../optimizers/clipped_step.ts";
import { sgd } from "../../../optimizers/update_rules/sgd.ts";
import type { HostTensor } from "../../../runtime/devices/device.ts";
import { Random } from "../../../runtime/base/random.ts";

/** What a step is fed, by the names of its inputs. */
export type Feeds = Record<string, HostTensor>;

/** A model's training, for the bench: its graph at a length of time, and what a step is fed. */
export interface Job {
  /** The network and its loss, without the step. */
  build(length: number): ModelGraph;
  readonly weightDecay: number;
  /** Whether the length of time may be left open. */
  readonly recurrent: boolean;
  /** Steps of time in a window; 1 where there are none. */
  readonly length: number;
  /** Images or tokens in a step. */
  readonly samples: number;
  /** Of a step, from 0; drawn anew each time for texts. */
  feeds(step: number): Feeds;
}

/** AWD-LSTMs: at Penn Treebank's size, and at next to none. */
const TEXTS = {
  "awd-lstm": { vocabulary: 10_000, length: 70 },
  "lstm-tiny": { vocabulary: 50, embedding: 8, hidden: 12, length: 8 },
} as const;
/** GPTs: that of --preset gpt-nano, on as many characters as Shakespeare's works have, and one of next to no size. */
const GPTS = {
  "gpt-nano": { layers: 6, heads: 6, width: 384, context: 256, vocabulary: 65 },
  "gpt-tiny": { layers: 1, heads: 2, width: 16, context: 16, vocabulary: 65 },
} as const;

const scalar = (x: number): HostTensor => ({ type: "float32", dims: [], data: Float32Array.of(x) });

function imageJob(depth: number, batch: number): Job {
  const random = new Random(1, "images");
  const feeds: Feeds = {
    input: {
      type: "float32",
      dims: [batch, 3, 32, 32],
      data: Float32Array.from({ length: batch * 3072 }, () => random.normal()),
    },
    target: {
      type: "int32",
      dims: [batch],
      data: Int32Array.from({ length: batch }, () => random.integer(10)),
    },
    learning_rate: scalar(0.1),
    clip_threshold: scalar(1),
  };
  return {
    samples: batch,
    build: () => resnet(depth).build({ batchSize: batch, mode: "train" }),
    weightDecay: 0,
    recurrent: false,
    length: 1,
    feeds: () => feeds,
  };
}

function textJob({ length, ...size }: (typeof TEXTS)[keyof typeof TEXTS], batch: number): Job {
  const model = awdLstm(size), random = new Random(1, "words"), { vocabulary } = size;
  const words = () => Int32Array.from({ length: batch * length }, () => random.integer(vocabulary));
  return {
    samples: batch * length,
    build: (length) => model.build({ batchSize: batch, length, mode: "train" }),
    weightDecay: 1.2e-6,
    recurrent: true,
    length,
    feeds: (step) => ({
      ...model.masks(batch, { seed: 1, rank: 0, step }),
      ...model.feeds.training({ input: words(), target: words() }, {
        batchSize: batch,
        length,
        restart: step === 0,
      }),
      learning_rate: scalar(30),
      clip_threshold: scalar(7.5),
    }),
  };
}

function gptJob(size: (typeof GPTS)[keyof typeof GPTS], batch: number): Job {
  const { context: length, vocabulary } = size, random = new Random(1, "tokens");
  const tokens = (): HostTensor => ({
    type: "int32",
    dims: [batch, length],
    data: Int32Array.from({ length: batch * length }, () => random.integer(vocabulary)),
  });
  return {
    samples: batch * length,
    build: () => gpt(size).build({ batchSize: batch, length, mode: "train" }),
    weightDecay: 0,
    recurrent: false,
    length,
    feeds: () => ({
      input: tokens(),
      target: tokens(),
      learning_rate: scalar(0.5),
      clip_threshold: scalar(0.5),
    }),
  };
}

/** The training of a network with so many samples a step. */
export function jobOf(name: string, batch: number): Job {
  if (name in TEXTS) return textJob(TEXTS[name as keyof typeof TEXTS], batch);
  if (name in GPTS) return gptJob(GPTS[name as keyof typeof GPTS], batch);
  return imageJob(Number(name.replace("resnet", "")), batch);
}

/** Forward, backward and the clipped update; outputs `loss` and `grad_norm`. */
export function stepGraph(job: Job, length = job.length): ModelGraph {
  const model = job.build(length), parameters = parametersOf(model);
  const gradients = differentiate(model.graph, model.loss, parameters.map(({ value }) => value));
  const { weightDecay } = job;
  appendClippedStep(model.graph, parameters, gradients, {
    ...PLAIN_STEP,
    rule: sgd({ weightDecay }),
  });
  return model;
}
