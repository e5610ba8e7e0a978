/**
 * What a GPT can be told.
 *
 * @module
 */

/** How a GPT knows where in its window a token stands. */
export const POSITIONS = ["learned", "rotary"] as const;

/** Options of `gpt`. */
export interface GptOptions {
  /** How many tokens there are. */
  readonly vocabulary: number;
  /** Blocks on top of each other. @default {6} */
  readonly layers?: number;
  /** Heads of attention in each; they share the width. @default {6} */
  readonly heads?: number;
  /** Size of the vectors from block to block. @default {384} */
  readonly width?: number;
  /** The longest window, in tokens. @default {256} */
  readonly context?: number;
  /**
   * A vector learned for each place, added to the token's (GPT-2), or queries and keys turned by angles that
   * grow with the place (Su et al. 2021).
   *
   * @default {"learned"}
   */
  readonly positions?: typeof POSITIONS[number];
  /**
   * Probability with which training drops an element of the embedding, of what each attention and each MLP
   * adds, and of the attention's probabilities.
   *
   * @default {0}
   */
  readonly dropout?: number;
  /** How much of each label goes to all tokens alike in training, ε from 0 up to 1. @default {0} */
  readonly labelSmoothing?: number;
}

/** {@linkcode GptOptions} with nothing left out. */
export type GptConfig = Required<GptOptions>;
