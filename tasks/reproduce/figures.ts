/**
 * The figures, one record each: what the paper claims, which runs are drawn, over what, and how what was seen is
 * held against the claim.
 *
 * Liu, Zhuang, Lei and Liao, A Communication-Efficient Distributed Gradient Clipping Algorithm for Training Deep
 * Neural Networks, NeurIPS 2022.
 *
 * @module
 */

import {
  clipsMoreOften,
  fewerIterations,
  type Finding,
  keepsUp,
  type SeenLine,
  staysBelowBound,
} from "./findings.ts";
import type { FigureAxis, MeasureName } from "./measures.ts";
import type { SweepName } from "./sweeps.ts";

/** One picture beside another. */
export interface PanelRecord {
  readonly x: FigureAxis;
  readonly y: MeasureName;
  readonly logX?: boolean;
  readonly logY?: boolean;
  /** Drawn dashed in the same colours. */
  readonly dashed?: MeasureName;
}

/** Pictures in one file. */
export interface RowRecord {
  /** The end of the file's name; "" for none. */
  readonly name: string;
  readonly panels: readonly PanelRecord[];
}

/** A figure. */
export interface FigureRecord {
  /** What it is asked for by, and the beginning of its files' names. */
  readonly name: string;
  readonly title: string;
  /** The paper's claim, as a sentence or two. */
  readonly claim: string;
  readonly sweep: SweepName;
  /** What is said of the runs; `{name}` stands for what they have in common. */
  readonly caption: string;
  readonly rows: readonly RowRecord[];
  /** What was seen, held against the claim. */
  readonly find: (lines: readonly SeenLine[]) => Finding;
}

const STEPS = "{ranks}, batch {batchSize} a rank, η = {lr}, γ = {clip}{decay}, {epochs} epochs.";

const IMAGES =
  `{model} of {weights} weights on CIFAR-10, {trainSamples} training and {testSamples} test images; ${STEPS}`;

const textsOf = (name: string) =>
  `AWD-LSTM of {layers} × {hidden} (the paper's: 3 × 1150), {weights} weights, on ${name}, {trainSamples} ` +
  `training tokens; ${STEPS}`;

const PENN_TREEBANK = textsOf("Penn Treebank");

const LEARNT = "averagedTrainLoss", RIGHT = "testAccuracy", PERPLEXITY = "validPerplexity";

/** How a text is learnt, over epochs and behind a link. */
const TEXT_ROWS: readonly RowRecord[] = [
  {
    name: "",
    panels: [
      { x: "epoch", y: "trainLoss" },
      { x: "epoch", y: PERPLEXITY, logY: true },
      { x: "bytes", y: PERPLEXITY, logX: true, logY: true },
      { x: "linkSeconds", y: PERPLEXITY, logY: true },
    ],
  },
];

/** Every figure, in the order of the page. */
export const FIGURES: readonly FigureRecord[] = [
  {
    name: "intervals",
    title: "Fewer rounds, the same learning",
    claim:
      "CELGC learns as well per epoch as naive parallel clipped SGD, which communicates at every step, with a fraction " +
      "of its rounds, and so is faster on the clock.",
    sweep: "intervals",
    caption: IMAGES,
    rows: [
      { name: "epochs", panels: [{ x: "epoch", y: LEARNT }, { x: "epoch", y: RIGHT }] },
      {
        name: "rounds",
        panels: [{ x: "round", y: LEARNT, logX: true }, { x: "round", y: RIGHT, logX: true }],
      },
      {
        name: "bytes",
        panels: [{ x: "bytes", y: LEARNT, logX: true }, { x: "bytes", y: RIGHT, logX: true }],
      },
      {
        name: "seconds",
        panels: [{ x: "linkSeconds", y: LEARNT }, { x: "linkSeconds", y: RIGHT }],
      },
    ],
    find: (lines) => keepsUp(lines, RIGHT),
  },
  {
    name: "clipping",
    title: "How often steps clip",
    claim:
      "CELGC clips more often than the baseline, since a rank's own gradient is longer than the average of all ranks'.",
    sweep: "intervals",
    caption: IMAGES,
    rows: [{
      name: "",
      // One rank alone takes more iterations for as many epochs.
      panels: [{ x: "epoch", y: "clipRate" }, { x: "epoch", y: "gradNorm", logY: true }],
    }],
    find: clipsMoreOften,
  },
  {
    name: "drift",
    title: "Drift and its bound",
    claim: "No rank is ever farther than 2γI from the average of all (Lemma 1).",
    sweep: "intervals",
    caption: IMAGES,
    rows: [{
      name: "",
      panels: [{ x: "iteration", y: "drift", dashed: "driftBound", logY: true }],
    }],
    find: staysBelowBound,
  },
  {
    name: "speedup",
    title: "More ranks, fewer iterations",
    claim: "N ranks need about 1/N of one rank's iterations: the speed-up is linear.",
    sweep: "ranks",
    caption: IMAGES,
    rows: [{
      name: "",
      panels: [{ x: "iteration", y: LEARNT, logX: true }, { x: "epoch", y: LEARNT }],
    }],
    find: (lines) => fewerIterations(lines, LEARNT),
  },
  {
    name: "large-batch",
    title: "Large batches",
    claim: "With a larger batch on each rank CELGC still learns as the baseline does.",
    sweep: "batch",
    caption: IMAGES,
    rows: [{ name: "", panels: [{ x: "epoch", y: LEARNT }, { x: "epoch", y: RIGHT }] }],
    find: (lines) => keepsUp(lines, RIGHT),
  },
  {
    name: "penn-treebank",
    title: "Penn Treebank",
    claim:
      "A language model is learnt as well with CELGC as with the baseline, in far fewer rounds.",
    sweep: "ptb",
    caption: PENN_TREEBANK,
    rows: TEXT_ROWS,
    find: (lines) => keepsUp(lines, PERPLEXITY),
  },
  {
    name: "wikitext-2",
    title: "WikiText-2",
    claim: "A second text is learnt as well with CELGC as with the baseline, too.",
    sweep: "wikitext2",
    caption: textsOf("WikiText-2"),
    rows: TEXT_ROWS,
    find: (lines) => keepsUp(lines, PERPLEXITY),
  },
  {
    name: "heterogeneous",
    title: "Unequal parts of the data",
    claim:
      "CELGC still learns where the ranks' data differ: Penn Treebank in 8 consecutive parts of unequal size.",
    sweep: "heterogeneous",
    caption: PENN_TREEBANK,
    rows: TEXT_ROWS,
    find: (lines) => keepsUp(lines, PERPLEXITY),
  },
  {
    name: "participants",
    title: "6 of 8 ranks in a round",
    claim: "CELGC still learns where only 6 of the 8 ranks take part in each round.",
    sweep: "participants",
    caption:
      `${PENN_TREEBANK} For each round 6 ranks are drawn, and the others sit it out; of the baseline, whose rounds ` +
      "are its steps, as well.",
    rows: TEXT_ROWS,
    find: (lines) => keepsUp(lines, PERPLEXITY),
  },
];
