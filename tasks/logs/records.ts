/**
 * The records of a run, as `metrics.jsonl` holds them: one JSON object a line.
 *
 * @module
 */

/** Where a record stands; its counts are the rank's own. */
export interface Position {
  /** Who wrote it. */
  readonly rank: number;
  /** Steps done, counted from 1; 0 is before the first. */
  readonly step: number;
  /** Passes over the training data that all ranks together have done. */
  readonly epoch: number;
  /** Local iterations of the algorithm, t in the paper. */
  readonly iteration: number;
  /** Rounds of averaging done. */
  readonly round: number;
  /** Wall clock since the first step began, in seconds. */
  readonly seconds: number;
  /** Samples this rank has learnt from; of a text, tokens. */
  readonly samples: number;
  /** Bytes this rank has sent for the algorithm's exchanges. */
  readonly bytesSent: number;
  /** Bytes this rank has received for the algorithm's exchanges. */
  readonly bytesReceived: number;
}

/** One step of one rank. */
export interface StepRecord extends Position {
  /** Marks a step. */
  readonly type: "step";
  /** Mean loss over the mini-batch, before the step; null where a step was skipped since that is not finite. */
  readonly loss: number;
  /** Norm of the gradient over all parameters, without weight decay. */
  readonly gradNorm: number;
  /** Whether γ/‖g‖ was below η, or any part of the step was clipped where parts are by themselves. */
  readonly clipped: boolean;
  /** Where parts are clipped by themselves (parameters, units, entries): share of them that was, 0 to 1. */
  readonly clippedShare?: number;
  /** The rank has not taken the step, see `--on-nan skip`; absent otherwise. */
  readonly skipped?: true;
  /** η */
  readonly lr: number;
  /** γ */
  readonly clip: number;
  /**
   * Milliseconds from the end of the step before, or from the step's own beginning if that is later, to
   * its end, exchanges included. Steps whose numbers come back from a GPU together share their time.
   */
  readonly stepMs: number;
  /**
   * Of {@linkcode StepRecord.stepMs}, those spent exchanging gradients and weights, waiting included.
   * Where an average travels while the rank goes on, only what the rank waited for it.
   */
  readonly syncMs: number;
}

/** One round of averaging; written by rank 0 for all. */
export interface RoundRecord extends Position {
  /** Marks a round. */
  readonly type: "round";
  /** Milliseconds spent in the exchange, waiting included: the mean over the participants. */
  readonly syncMs: number;
  /** Largest distance ‖x̄ − x_i‖₂ of a participant to the average it joined. */
  readonly drift: number;
  /** What the paper proves it cannot exceed, 2γI, or null where it proves nothing. */
  readonly driftBound: number | null;
  /**
   * ‖e_i‖₂ of what a participant has lost by compression and not yet made up for: the root of the mean of its square.
   * Absent where nothing is lost.
   */
  readonly residualNorm?: number;
  /** The ranks that took part. */
  readonly participants: readonly number[];
  /** The part of the weights that was averaged, from 0; absent where they are averaged as a whole. */
  readonly fragment?: number;
  /** Where rounds go by the clock: steps that each rank has taken since the round before. */
  readonly steps?: readonly number[];
  /** The run ends with it: no step was taken from its average. Absent otherwise. */
  readonly final?: true;
}

/** One evaluation of the averaged weights; the ranks share the work. */
export interface EvalRecord extends Position {
  /** Marks an evaluation. */
  readonly type: "eval";
  /**
   * What was evaluated: "train" is a fixed part of the training set, see `--train-eval`. Absent for the
   * test set where there is no validation set.
   */
  readonly split?: "valid" | "test" | "train";
  /** Mean loss over it; of a text, in nats a token. */
  readonly loss: number;
  /** Share of it that is classified right, from 0 to 1; of images. */
  readonly accuracy?: number;
  /** exp(loss); of a text. */
  readonly perplexity?: number;
  /** Root of the mean squared error, in the targets' unit; of amounts. */
  readonly rmse?: number;
  /** R²: the share of the amounts' variance that is predicted, at most 1. */
  readonly r2?: number;
  /** Samples; of a text, tokens. */
  readonly count: number;
  /** Steps over which the weights were averaged; absent unless they were, see `--averaging-trigger`. */
  readonly averagedSteps?: number;
  /** D of their exponential moving average over the steps; absent without, see `--ema`. */
  readonly ema?: number;
  /** What was done about batch norm's running statistics, see `--batch-norm`; absent without any. */
  readonly batchNorm?: string;
}

/**
 * What the evaluations of a run came to: accuracies where samples are classified, perplexities of texts, errors of
 * amounts.
 */
export interface Scores {
  /** Share of the test set that the final averaged weights classify right, from 0 to 1. */
  readonly testAccuracy?: number;
  /** Their perplexity on the test text. */
  readonly testPerplexity?: number;
  /** Root of their mean squared error on the test set, in the targets' unit. */
  readonly testRmse?: number;
  /** R² on the test set: the share of its variance that they predict, at most 1. */
  readonly testR2?: number;
  /** Their mean loss over the test set. */
  readonly testLoss: number;
  /** Root of their mean squared error on the validation set. */
  readonly validationRmse?: number;
  /** R² on the validation set. */
  readonly validationR2?: number;
  /** Their perplexity on the validation text. */
  readonly validationPerplexity?: number;
  /** Share of the validation set that they classify right, from 0 to 1, if there is one of images. */
  readonly validationAccuracy?: number;
  /** Their mean loss over the validation set, if there is one. */
  readonly validationLoss?: number;
  /** Their mean loss over a fixed part of the training set, see `--train-eval`; absent without one. */
  readonly trainLossAveraged?: number;
  /** The accuracy of the weights before the first step. */
  readonly untrainedAccuracy?: number;
  /** The perplexity of the weights before the first step, on the validation text. */
  readonly untrainedPerplexity?: number;
  /** Root of the mean squared error of the weights before the first step. */
  readonly untrainedRmse?: number;
  /** Their R². */
  readonly untrainedR2?: number;
  /** The loss of the weights before the first step, on what is evaluated all along. */
  readonly untrainedLoss: number;
  /** The least perplexity on the test text that can be expected, where its source is known. */
  readonly bestPerplexity?: number;
  /** Entropy rate of that source, in nats a token. */
  readonly entropyRate?: number;
}

/** What the weights that did best on the validation set have come to, see `--patience`. */
export interface BestScores {
  /** When they were evaluated. */
  readonly step: number;
  /** Passes over the training data by then. */
  readonly epoch: number;
  /** Their mean loss over the validation set, the least of the run. */
  readonly validationLoss: number;
  /** The share of it that they classify right. */
  readonly validationAccuracy?: number;
  /** Their perplexity on it. */
  readonly validationPerplexity?: number;
  /** Root of their mean squared error on it. */
  readonly validationRmse?: number;
  /** R² on it. */
  readonly validationR2?: number;
  /** Their mean loss over the test set. */
  readonly testLoss: number;
  /** The share of it that they classify right. */
  readonly testAccuracy?: number;
  /** Their perplexity on it. */
  readonly testPerplexity?: number;
  /** Root of their mean squared error on it. */
  readonly testRmse?: number;
  /** R² on it. */
  readonly testR2?: number;
}

/** A host of a run. */
export interface RunHost {
  /** Its name. */
  readonly name: string;
  /** Number of the launcher whose ranks these are; absent where the host has one. */
  readonly launcher?: number;
  /** Its ranks, in increasing order. */
  readonly ranks: readonly number[];
  /** What they compute on; one, unless they differ. */
  readonly devices: readonly string[];
  /** What its ranks' frames to other hosts go over: TCP, or TCP under TLS; null where that is not known. */
  readonly carrier: "unix" | "tcp" | "tls" | "mpi" | null;
  /** Whether other hosts could not reach it: its ranks have dialled all others. @default {false} */
  readonly dialsOut?: boolean;
}

/** What two hosts that can only dial out have sent each other through the relay on the coordinator's host. */
export interface RelayedPair {
  /** Their names. */
  readonly hosts: readonly [string, string];
  /** Counted as {@linkcode Summary.bytesBetweenHosts}, of which they are a part. */
  readonly bytes: number;
}

/** What a run came to; counts without further words are sums over all ranks. */
export interface Summary extends Scores {
  /**
   * Mean loss of the mini-batches over the last tenth of the steps that were taken, each under the weights of its own rank;
   * null without a step.
   */
  readonly trainLoss: number | null;
  /** N */
  readonly ranks: number;
  /** Steps of each rank; where rounds go by the clock, their mean, rounded down. */
  readonly steps: number;
  /** Where rounds go by the clock: the steps of each rank. */
  readonly stepsByRank?: readonly number[];
  /**
   * Whether it ended before its steps were over, because the validation loss fell no more, see `--patience`, or
   * a callback has stopped it; absent otherwise.
   */
  readonly stoppedEarly?: true;
  /** The callback that has stopped it, the rank on which it asked, and its reason; absent otherwise. */
  readonly stoppedBy?: {
    readonly callback: string;
    readonly rank: number;
    readonly reason: string;
  };
  /** The weights that did best on the validation set, `best.safetensors`; absent without `--patience`. */
  readonly best?: BestScores;
  /** Passes over the training data, by all ranks together. */
  readonly epochs: number;
  /** Rounds of averaging. */
  readonly rounds: number;
  /** Wall clock from the first step to the last, evaluations left out. */
  readonly trainSeconds: number;
  /** Steps of each rank per second. */
  readonly stepsPerSecond: number;
  /** Samples of all ranks per second; of a text, tokens. */
  readonly samplesPerSecond: number;
  /** Share of the training time that ranks spent exchanging, waiting included; from 0 to 1. */
  readonly communicationShare: number;
  /** What of that was waiting, and for whom; absent where nobody has met. Of a run that goes on, since it does. */
  readonly waiting?: WaitingSummary;
  /** Payload bytes sent for the algorithm's exchanges. */
  readonly totalBytesSent: number;
  /**
   * Most of them that one rank sent in the rounds that followed one step: where averages travel while steps go
   * on, in those that arrived then. Those with which a run ends come one after the other and do not count. Absent
   * from the logs of earlier versions.
   */
  readonly peakBytesSent?: number;
  /**
   * Bytes that ranks have sent to ranks of other hosts since they were started, for whatever purpose, headers of
   * frames included; those of TLS, TCP and IP are not. Absent on one host.
   */
  readonly bytesBetweenHosts?: number;
  /** Pairs of hosts whose ranks have met at the relay; absent if there were none. */
  readonly relayed?: readonly RelayedPair[];
  /** How averages travelled; absent where it was as they are. */
  readonly compression?: Compression;
  /**
   * Share of the steps that were clipped, from 0 to 1, or of their parts where parts are clipped by themselves;
   * null for an algorithm that never clips.
   */
  readonly clipRate: number | null;
  /** Steps of all ranks that were not taken since they were not finite, see `--on-nan skip`; absent if none were. */
  readonly skippedSteps?: number;
  /** How often the run went back to a checkpoint, see `--on-nan rollback`; absent if never. */
  readonly rollbacks?: number;
  /** How often the run started again after it had lost ranks, see `--on-failure restart`; absent if never. */
  readonly restarts?: number;
  /**
   * Who the ranks were, and since which step, where some were lost or came while the run went on, see
   * `--on-failure shrink`; absent otherwise.
   */
  readonly membership?: readonly {
    readonly step: number;
    readonly ranks: number;
    /** Their numbers in the run, in their order. @default {from 0 on} */
    readonly members?: readonly number[];
    /** Those that are not in the round of this step, and the last step that counts of each. */
    readonly lost?: readonly { readonly rank: number; readonly since: number }[];
    /** Those that were lost after all that follows this step, and were not in its round, likewise. */
    readonly lostAfter?: readonly { readonly rank: number; readonly since: number }[];
  }[];
  /**
   * Whether the run has diverged without an end: a final loss is more than ten times that of the weights before the
   * first step. Absent otherwise.
   */
  readonly diverged?: true;
  /** The largest drift of any round; null without a round. */
  readonly maxDrift: number | null;
  /** What the paper proves it cannot exceed; null where it proves nothing. */
  readonly driftBound: number | null;
  /** Whether all ranks ended with the same averaged weights, bit for bit. */
  readonly identicalWeights: boolean;
  /** SHA-256 of the averaged weights, little-endian float32, in hexadecimal. */
  readonly weightsHash: string;
  /** Where the graph ran; at rank 0 where hosts differ. */
  readonly device: string;
  /** The hosts that the ranks were on; absent if that was one. */
  readonly hosts?: readonly RunHost[];
  /** Steps over which the final weights were averaged; absent unless they were. */
  readonly averagedSteps?: number;
  /** D of their exponential moving average over the steps; absent without, see `--ema`. */
  readonly ema?: number;
  /** What was done about batch norm's running statistics; absent without any. */
  readonly batchNorm?: string;
}

/** What ranks have waited for; see `docs/metrics.md` for when a rank is named. */
export interface WaitingSummary {
  /** Share of the training time that ranks waited for others, from 0 to 1. */
  readonly share: number;
  /** Ranks for which the others waited much more than for each other; absent if there were none. */
  readonly stragglers?: readonly {
    readonly rank: number;
    /** Of all waiting, from 0 to 1. */
    readonly share: number;
  }[];
  /** Links over which nothing came for more than 1.5 s while it was waited for; absent if there were none. */
  readonly links?: readonly {
    /** At its ends. */
    readonly ranks: readonly [number, number];
    /** How long, in all. */
    readonly seconds: number;
    /** Of all waiting, from 0 to 1. */
    readonly share: number;
  }[];
}

/** How a run's averages travelled in fewer bytes. */
export interface Compression {
  /** As in `--compress`. */
  readonly codec: string;
  /** Payload bytes that were sent for them, over those of the same averages in float32. */
  readonly ratio: number;
  /** ‖e‖₂ of what a rank has lost and not yet made up for, at the end: the root of the ranks' mean square. */
  readonly residualNorm: number;
}

/** The last record of a run. */
export interface SummaryRecord extends Position, Summary {
  /** Marks the end. */
  readonly type: "summary";
}

/** A line of `metrics.jsonl`. */
export type MetricRecord = StepRecord | RoundRecord | EvalRecord | SummaryRecord;

/** The numbers of a {@linkcode Position}. */
const POSITION_FIELDS = [
  "rank",
  "step",
  "epoch",
  "iteration",
  "round",
  "seconds",
  "samples",
  "bytesSent",
  "bytesReceived",
] as const satisfies readonly (keyof Position)[];

/** What of a record is a number, a yes or no, or a list that counts by its length, by kind of record. */
export const NUMBERS = {
  step: [
    ...POSITION_FIELDS,
    "loss",
    "gradNorm",
    "clipped",
    "clippedShare",
    "skipped",
    "lr",
    "clip",
    "stepMs",
    "syncMs",
  ],
  round: [
    ...POSITION_FIELDS,
    "syncMs",
    "drift",
    "driftBound",
    "residualNorm",
    "participants",
    "fragment",
    "final",
  ],
  eval: [
    ...POSITION_FIELDS,
    "loss",
    "accuracy",
    "perplexity",
    "rmse",
    "r2",
    "count",
    "averagedSteps",
    "ema",
  ],
} as const satisfies {
  step: readonly (keyof StepRecord)[];
  round: readonly (keyof RoundRecord)[];
  eval: readonly (keyof EvalRecord)[];
};

/** Fields without which a step, a round or an evaluation can stand in no figure. */
export const REQUIRED = [
  "rank",
  "iteration",
  "epoch",
  "seconds",
] as const satisfies readonly (keyof Position)[];
