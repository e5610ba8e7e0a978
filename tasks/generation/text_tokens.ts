/**
 * What text generation knows of tokens.
 *
 * @module
 */

/** A text as tokens, and back. */
export interface TextTokens {
  /** How many tokens there are; a network may know more. */
  readonly size: number;
  /** What stands before a text that has nothing before it: the end of a line. */
  readonly first: number;
  /**
   * A prompt's tokens, and what of it other tokens stand for.
   *
   * @throws OptionError that names what cannot be said with these tokens
   */
  encode(
    prompt: string,
  ): { readonly tokens: readonly number[]; readonly unknown: readonly string[] };
  /**
   * Tells of token after token what it adds to the text; of one that ends in the middle of a character nothing, as
   * the rest comes with those that follow.
   *
   * @param after what stands before the first
   */
  decoder(after: readonly number[]): (token: number) => string;
}
