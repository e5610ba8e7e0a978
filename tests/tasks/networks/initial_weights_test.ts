import assert from "node:assert/strict";
import type { MaskKey, Model, ModelGraph } from "../../../models/mod.ts";
import { startingFrom } from "../../../tasks/networks/initial_weights.ts";
import type { Feeds, TrainableModel } from "../../../tasks/task.ts";
import { perceptron } from "../../_helpers/perceptron.ts";

/** A model as a user may write it: a class whose methods need what is private to the object. */
class PrivateModel implements TrainableModel {
  readonly name = "private";
  readonly logged = "loss";
  readonly #inner: Model = perceptron({ features: 2, hidden: 3, classes: 2, bound: 1 });

  build({ batchSize, mode }: Parameters<TrainableModel["build"]>[0]): ModelGraph {
    return this.#inner.build({ batchSize, mode });
  }

  masks(_batchSize: number, { step }: MaskKey): Feeds {
    return {
      [this.#inner.name]: { type: "float32", dims: [1], data: Float32Array.of(step) },
    };
  }

  encode(weights: ReadonlyMap<string, Float32Array>): Uint8Array {
    return Uint8Array.of(this.#inner.name.length, weights.size);
  }
}

Deno.test("a class with private fields begins with given weights and stays itself", () => {
  const own = new PrivateModel();
  const { variables } = own.build({ batchSize: 1, length: 1, mode: "eval" });
  const tensors = variables.map(({ name, dims, initial }) => ({
    name,
    dims,
    data: initial(1).map((x) => x + 1),
  }));
  const model = startingFrom(own, { tensors, exact: true }, "theirs.safetensors");
  const started = model.build({ batchSize: 1, length: 1, mode: "train" });
  started.variables.forEach(({ name, initial }, i) => {
    assert.equal(name, tensors[i].name);
    assert.deepEqual(initial(7), tensors[i].data);
  });
  assert.deepEqual(model.masks!(1, { seed: 1, rank: 0, step: 5 }, 1).perceptron.data[0], 5);
  assert.deepEqual(model.encode!(new Map()), Uint8Array.of(10, 0));
  assert.equal(model.logged, "loss");
  assert.equal(model.predict, undefined);
});

Deno.test("weights that do not fit are refused when the model is built", () => {
  const model = startingFrom(new PrivateModel(), { tensors: [], exact: true }, "none.safetensors");
  assert.throws(() => model.build({ batchSize: 1, length: 1, mode: "eval" }), {
    name: "OptionError",
    message: /^--weights none\.safetensors does not fit the model: missing fc1\.weight/,
  });
});
