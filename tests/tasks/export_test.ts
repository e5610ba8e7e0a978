import assert from "node:assert/strict";
import { exportGraph } from "../../tasks/export.ts";
import { deno, ROOT } from "../_helpers/deno.ts";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";

Deno.test("code exports what the command does, and is told what is in the file", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/step.onnx`;
  const written = await exportGraph({ model: "resnet8", graph: "step", momentum: 0.9, out });
  assert.equal(written.file, out);
  assert.equal((await Deno.stat(out)).size, written.bytes);
  assert.ok(written.inputs!.includes("clip_threshold"));
  assert.ok(written.outputs!.includes("conv1.weight.momentum.next"));
  const state = await exportGraph({ model: "resnet8", out: `${folder.path}/state.safetensors` });
  assert.ok(state.tensors!.includes("conv1.weight") && state.inputs === undefined);
});

Deno.test("a file that was not named is not written over", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/resnet8-forward.onnx`;
  await Deno.writeTextFile(file, "precious");
  const { code, stderr } = await deno(
    [
      "run",
      "-A",
      "--no-check",
      new URL("tasks/cli/main.ts", ROOT).href,
      "export",
      "--model",
      "resnet8",
    ],
    { cwd: folder.path },
  );
  assert.equal(code, 2, stderr);
  assert.equal(
    stderr,
    "celgc: resnet8-forward.onnx is there already: --out FILE names another, --out " +
      "resnet8-forward.onnx replaces it\n",
  );
  assert.equal(await Deno.readTextFile(file), "precious");
  await exportGraph({ model: "resnet8", out: file });
  assert.notEqual(await Deno.readTextFile(file), "precious");
});

Deno.test("an AWD-LSTM has the defaults of Penn Treebank without a task or its data", async () => {
  await using folder = await temporaryFolder();
  const out = `${folder.path}/lstm.onnx`, small = { hidden: 8, embedding: 4, vocabulary: 20 };
  const { outputs } = await exportGraph({ model: "awd-lstm", graph: "step", out, ...small });
  assert.ok(outputs!.includes("rnns.2.weight_hh_l0.next"));
});

Deno.test("an export is asked only what its own options have to do with each other", async () => {
  await assert.rejects(
    exportGraph({ model: "resnet8", hidden: 64 }),
    /^OptionError: --hidden 64 has no effect with --model resnet8: leave it out/,
  );
  await assert.rejects(exportGraph({ model: "resnet8", dims: "a=1" }), /--dims is for a network/);
  await assert.rejects(exportGraph({ graph: "step", nesterov: true }), /momentum/);
  await assert.rejects(exportGraph({ batchSize: 0 }), /--batch-size must be/);
});
