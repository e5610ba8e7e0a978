/**
 * What an AWD-LSTM can be told.
 *
 * @module
 */

/** Probabilities of dropping, each from 0 up to, but not, 1. */
export interface AwdLstmDropout {
  /** A word, in all its occurrences. @default {0.1} */
  readonly word: number;
  /** An element of the embedding, in all steps. @default {0.4} */
  readonly input: number;
  /** An element between two LSTMs, in all steps. @default {0.25} */
  readonly hidden: number;
  /** An element of the last LSTM's output, in all steps. @default {0.4} */
  readonly output: number;
  /** A row (or element) of the hidden-to-hidden weights. @default {0.5} */
  readonly weight: number;
}

/** Options of `awdLstm`. */
export interface AwdLstmOptions {
  /** How many words there are. */
  readonly vocabulary: number;
  /** Size of the embedding and of the last LSTM. @default {400} */
  readonly embedding?: number;
  /** Size of the other LSTMs. @default {1150} */
  readonly hidden?: number;
  /** How many LSTMs. @default {3} */
  readonly layers?: number;
  /** Where it differs from the paper's on Penn Treebank. */
  readonly dropout?: Partial<AwdLstmDropout>;
  /** What weight drop takes. @default {"rows"} */
  readonly weightDrop?: "rows" | "elements";
  /** α, what the mean square of the output adds to the loss. @default {2} */
  readonly activation?: number;
  /** β, what the mean square of the output's change from step to step adds to the loss. @default {1} */
  readonly temporal?: number;
  /** How much of each label goes to all words alike in training, ε from 0 up to 1. @default {0} */
  readonly labelSmoothing?: number;
}

/** {@linkcode AwdLstmOptions} with nothing left out. */
export type AwdLstmConfig = Required<AwdLstmOptions> & { readonly dropout: AwdLstmDropout };
