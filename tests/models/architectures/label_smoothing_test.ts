import assert from "node:assert/strict";
import { smoothedCrossEntropy } from "../../../models/architectures/layers.ts";
import { differentiate } from "../../../models/autodiff.ts";
import { Graph } from "../../../models/graph.ts";
import { hasTorch, PYTHON, torchNote } from "../../_helpers/python.ts";
import { load } from "../_evaluate.ts";

Deno.test({
  name: `smoothed labels and their gradient are PyTorch's${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    const logits = Array.from({ length: 20 }, (_, i) => Math.fround(3 * Math.sin(i * 1.7)));
    const target = [3, 0, 4, 1];
    const g = new Graph(), z = g.input("z", "float32", [4, 5]);
    const losses = smoothedCrossEntropy(g, z, g.input("target", "int32", [4]), 0.2);
    const loss = g.output("loss", g.mean(losses));
    g.output("gradient", differentiate(g, loss, [z])[0]);
    await using session = await load(g, { target: "portable" });
    const { loss: found, gradient } = await session.run({ z: logits, target });
    const program = `
import json, torch
z = torch.tensor(${JSON.stringify(logits)}).reshape(4, 5).requires_grad_()
loss = torch.nn.functional.cross_entropy(z, torch.tensor([3, 0, 4, 1]), label_smoothing=0.2)
loss.backward()
print(json.dumps([loss.item(), z.grad.flatten().tolist()]))`;
    const { success, stdout } = await new Deno.Command(PYTHON, { args: ["-c", program] }).output();
    assert.ok(success);
    const [expected, slopes] = JSON.parse(new TextDecoder().decode(stdout));
    assert.ok(Math.abs(Number(found.data[0]) - expected) < 1e-6);
    slopes.forEach((slope: number, i: number) =>
      assert.ok(Math.abs(Number(gradient.data[i]) - slope) < 1e-6)
    );
  },
});
