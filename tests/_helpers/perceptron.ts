/** The tests' tiny network. */

import { classifierOutputs, LayerBuilder, type Model, uniform } from "../../models/mod.ts";

/** Sizes of the layers, and how far from zero the first weights may be. */
export interface PerceptronOptions {
  readonly features: number;
  readonly hidden: number;
  readonly classes: number;
  readonly bound: number;
}

/** Two fully connected layers with tanh between them, without batch norm. */
export function perceptron(
  { features, hidden, classes, bound }: PerceptronOptions,
): Model {
  return {
    name: "perceptron",
    build({ batchSize, mode }) {
      const layers = new LayerBuilder(mode), g = layers.graph;
      const input = g.input("input", "float32", [batchSize, features]);
      const target = g.input("target", "int32", [batchSize]);
      const inner = g.tanh(layers.linear("fc1", input, hidden, uniform(bound)));
      const logits = layers.linear("fc2", inner, classes, uniform(bound));
      const outputs = classifierOutputs(g, logits, target, mode);
      return { graph: g, loss: outputs.loss, outputs, variables: layers.variables };
    },
  };
}
