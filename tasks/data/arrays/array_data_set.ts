/**
 * Samples as arrays in memory, with what they are to be predicted: classes, or amounts.
 *
 * @module
 */

/** What a network is fed of samples under one name. */
export interface ArrayInput {
  /** The network's name of it; `input` where there is one alone. */
  readonly name: string;
  /** Shape of a sample. */
  readonly dims: readonly number[];
  /** `[count, …dims]`: whole numbers for a network that takes them, else standardised floats. */
  readonly data: Float32Array | Int32Array;
}

/** Classes, each an index into their names. */
export interface ClassTarget {
  readonly kind: "classes";
  /** Shape of a sample's: none for one class, `[length]` for a class of each place. */
  readonly dims: readonly number[];
  /** `[count, …dims]`. */
  readonly labels: Uint16Array;
  /** Their names. */
  readonly classes: readonly string[];
}

/** Amounts, of a regression. */
export interface AmountTarget {
  readonly kind: "amounts";
  /** Shape of a sample's. */
  readonly dims: readonly number[];
  /** `[count, …dims]`. */
  readonly data: Float32Array;
  /** The unit of what is predicted, in the data's own: their deviation, where targets are standardised. */
  readonly unit: number;
  /** Mean squared distance of the amounts from the mean of their column. */
  readonly variance: number;
}

/** Samples. */
export interface ArrayDataSet {
  /** Name for messages. */
  readonly name: string;
  readonly count: number;
  readonly inputs: readonly ArrayInput[];
  readonly target: ClassTarget | AmountTarget;
}

/** Samples to learn from and to test with, of the same shapes, classes and standardisation. */
export interface ArraySplits {
  readonly train: ArrayDataSet;
  readonly test: ArrayDataSet;
  /** Where the data have such samples of their own. */
  readonly valid?: ArrayDataSet;
  /** What has become of the columns, as JSON: who feeds the trained network makes the same of theirs. */
  readonly description: string;
}
