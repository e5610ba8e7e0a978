import assert from "node:assert/strict";
import { lossNamed } from "../../../models/architectures/losses.ts";
import { differentiate } from "../../../models/autodiff.ts";
import { Graph } from "../../../models/graph.ts";
import { load } from "../_evaluate.ts";

Deno.test("the gradient of binary cross entropy is σ(x) − t, at a logit of 0 as well", async () => {
  const g = new Graph(), logits = [0, 0, -0, 3, -2, 40, -40], target = [0, 1, 0.25, 1, 0.5, 0, 1];
  const x = g.input("x", "float32", [logits.length]);
  const { loss } = lossNamed("binary-cross-entropy")(g, x, "train");
  g.output("dx", differentiate(g, loss, [x])[0]);
  for (const engine of ["cpu", "webgpu"] as const) {
    await using runner = await load(g, { target: engine });
    const { dx } = await runner.run({ x: logits, target });
    dx.data.forEach((slope, i) => {
      const expected = (1 / (1 + Math.exp(-logits[i])) - target[i]) / logits.length;
      assert(Math.abs(slope - expected) < 1e-7, `${engine}, logit ${logits[i]}: ${slope}`);
    });
  }
});
