/**
 * What a task feeds a network, as far as their shapes go.
 *
 * @module
 */

import type { ImageShape } from "../data/images/image_data_set.ts";

/** Type and shape of a tensor. */
export interface FedTensor {
  readonly type: "float32" | "int32";
  readonly dims: readonly number[];
}

/** What a task feeds: the shapes of inputs and `target`, and how many classes there are. */
export interface DataShape {
  /** As a message calls it. */
  readonly name: string;
  /** What is fed, by name: `input`, or several as the network calls them. */
  inputs(batchSize: number, length: number): Readonly<Record<string, FedTensor>>;
  /** Shape of `target`. */
  target(batchSize: number, length: number): readonly number[];
  /** Its type: int32 are classes. */
  readonly targets: "float32" | "int32";
  /** Targets are below this; 0 where they are no classes, or it is not known. */
  readonly classes: number;
}

/** What is known of arrays, by their names. */
export interface ArrayShapes {
  readonly inputs: readonly (FedTensor & { readonly name: string })[];
  readonly target: { readonly dims: readonly number[]; readonly classes?: readonly string[] };
}

/** Arrays; shapes are those of a sample. */
export function arraysOf({ inputs, target: { dims, classes } }: ArrayShapes): DataShape {
  return {
    name: "the arrays",
    inputs: (batchSize) =>
      Object.fromEntries(
        inputs.map(({ name, type, dims }) => [name, { type, dims: [batchSize, ...dims] }]),
      ),
    target: (batchSize) => [batchSize, ...dims],
    targets: classes ? "int32" : "float32",
    classes: classes?.length ?? 0,
  };
}

/** Images of a side, in pixels, in so many classes. */
export function imagesOf({ side, classes }: ImageShape): DataShape {
  return {
    name: "images",
    inputs: (batchSize) => ({ input: { type: "float32", dims: [batchSize, 3, side, side] } }),
    target: (batchSize) => [batchSize],
    targets: "int32",
    classes,
  };
}

/** Windows of a text of so many different words. */
export function windowsOf(vocabulary: number): DataShape {
  return {
    name: "windows of text",
    inputs: (batchSize, length) => ({ input: { type: "int32", dims: [batchSize, length] } }),
    target: (batchSize, length) => [batchSize, length],
    targets: "int32",
    classes: vocabulary,
  };
}
