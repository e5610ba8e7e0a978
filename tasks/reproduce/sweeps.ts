/**
 * The runs from which figures are drawn, as the options of sweeps: what `deno task sweep` would be given.
 *
 * @module
 */

import { OPTIONS } from "../options/table.ts";
import type { Swept } from "../sweep/axes.ts";
import { showValue } from "../sweep/cells.ts";

/** Runs that belong together: the cells of some sweeps into one folder, for some seeds. */
export interface SweepRecord {
  /** The folder's name. */
  readonly name: string;
  /** Options of each sweep but for seed and data, in the order in which they are typed. */
  readonly sweeps: readonly Swept[];
  readonly seeds: readonly number[];
}

const CIFAR10 = { ranks: 8, task: "cifar10" } as const satisfies Swept;

/** CIFAR-10 as the paper's second setting has it, smaller: ResNet-20, batch 16 a rank, η and γ decay together. */
const RESNET = {
  ...CIFAR10,
  model: "resnet20",
  batchSize: 16,
  epochs: 12,
  lr: 0.3,
  clip: 1,
  trainEval: 2000,
  device: "cpu",
  timeout: 600,
} as const satisfies Swept;

/** The same with its decay. */
const DECAYED = { ...RESNET, decayAt: [9], decayClip: true } as const satisfies Swept;

/** An AWD-LSTM of one layer: the paper's has three, and weights of 1150 where this has 128. */
const AWD_LSTM = {
  ranks: 8,
  embedding: 128,
  hidden: 128,
  layers: 1,
  bptt: 35,
  dropoutWord: 0,
  dropoutInput: 0.1,
  dropoutHidden: 0.1,
  dropoutOutput: 0.1,
  dropoutWeight: 0.1,
  batchSize: 5,
  lr: 10,
  clip: 2.5,
  testColumns: 10,
  device: "cpu",
  timeout: 600,
} as const satisfies Swept;

/** The baseline, and CELGC at a short and at a long interval. */
const THREE = { algorithm: ["naive-parallel", "celgc"], interval: [4, 16] } as const;

/** The shares of the paper's heterogeneous split, in percent. */
const UNEVEN = "proportional:10.64,11.17,11.7,12.23,12.77,13.3,13.83,14.36";

/** Every sweep by its name. */
export const SWEEPS = {
  intervals: {
    name: "intervals",
    sweeps: [
      {
        algorithm: ["naive-parallel", "celgc"],
        interval: [1, 2, 4, 8, 16, 32],
        ...DECAYED,
        evalEvery: 3,
      },
      { algorithm: "single", ...DECAYED, ranks: 1, evalEvery: 3 },
    ],
    seeds: [1, 2, 3],
  },
  ranks: {
    name: "ranks",
    sweeps: [
      {
        algorithm: ["single", "celgc"],
        interval: 4,
        ...RESNET,
        ranks: [2, 4, 8],
        epochs: 6,
        trainEval: 1000,
        evalEvery: 0.5,
      },
    ],
    seeds: [1],
  },
  batch: {
    name: "batch",
    sweeps: [{
      ...THREE,
      ...DECAYED,
      batchSize: 64,
      lr: 0.5,
      epochs: 8,
      decayAt: [6],
      evalEvery: 2,
    }],
    seeds: [1],
  },
  ptb: {
    name: "ptb",
    sweeps: [{ ...THREE, task: "ptb", ...AWD_LSTM, epochs: 3, evalEvery: 1 }],
    seeds: [1],
  },
  wikitext2: {
    name: "wikitext2",
    sweeps: [{ ...THREE, task: "wikitext2", ...AWD_LSTM, epochs: 6, evalEvery: 1 }],
    seeds: [1, 2],
  },
  heterogeneous: {
    name: "heterogeneous",
    sweeps: [{ ...THREE, task: "ptb", ...AWD_LSTM, partition: UNEVEN, epochs: 3, evalEvery: 1 }],
    seeds: [1],
  },
  participants: {
    name: "participants",
    sweeps: [{ ...THREE, task: "ptb", ...AWD_LSTM, participants: 6, epochs: 3, evalEvery: 1 }],
    seeds: [1],
  },
} as const satisfies Readonly<Record<string, SweepRecord>>;

/** The name of a sweep. */
export type SweepName = keyof typeof SWEEPS;

/** How a figure's runs are made from a record. */
export interface RunChoice {
  /** A folder that holds a folder for each data set, by the name of its task. */
  readonly data: string;
  /** Share of the epochs that runs have; 1 for what the record says. */
  readonly scale: number;
}

/** The options of each sweep of a record for one seed. */
export function sweepsOf(record: SweepRecord, seed: number, { data, scale }: RunChoice): Swept[] {
  return scaledSweeps(record, scale).map((swept) => ({
    ...swept,
    data: `${data}/${swept.task}`,
    seed,
  }));
}

/** The options of each sweep of a record, but for seed and data, with a share of the epochs. */
export function scaledSweeps(record: SweepRecord, scale: number): Swept[] {
  return record.sweeps.map((swept) => {
    const { epochs, decayAt, evalEvery } = swept as {
      epochs: number;
      decayAt?: readonly number[];
      evalEvery: number;
    };
    const scaled = scale === 1 ? {} : {
      epochs: epochs * scale,
      evalEvery: evalEvery * scale,
      ...decayAt ? { decayAt: decayAt.map((epoch) => epoch * scale) } : {},
    };
    return { ...swept, ...scaled };
  });
}

/** A sweep as it is typed, with what stands for its folders. */
export function commandOf(swept: Swept, seeds: readonly number[], out: string): string {
  const given = { ...swept, data: `DATA/${swept.task}`, seed: seeds, out };
  const words = Object.entries(given).flatMap(([name, value]) => {
    const { flag, placeholder } = OPTIONS[name as keyof typeof OPTIONS];
    if (placeholder === null && value === true) return [flag];
    return [flag, Array.isArray(value) && value.length > 0 ? value.join(",") : showValue(value)];
  });
  return ["deno task sweep", ...words].join(" ");
}
