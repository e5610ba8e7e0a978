import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { loadSafetensorsReader } from "../../../deps.ts";
import { decodeSafetensors } from "../../../tasks/networks/safetensors.ts";
import { celgc } from "../../_helpers/deno.ts";
import { hasOnnx, onnxNote } from "../../_helpers/peers/onnx_checker.ts";
import { hasModule, runPython } from "../../_helpers/peers/python.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const hasSafetensors = await hasModule("safetensors.numpy");

interface Read {
  readonly tensors: Readonly<Record<string, { shape: number[]; sha256: string }>>;
  readonly inputs?: string[];
  readonly outputs?: string[];
}

async function readBy(tool: "onnx" | "safetensors", file: string): Promise<Read> {
  const output = await runPython(new URL("open_run.py", import.meta.url), [], [tool, file]);
  return JSON.parse(new TextDecoder().decode(output));
}

const hashOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  createHash("sha256").update(new Uint8Array(buffer, byteOffset, byteLength)).digest("hex");

/** A run of a few steps; its weights as this project reads them. */
async function trained(folder: string) {
  const out = join(folder, "run");
  const args =
    "--ranks 2 --device cpu --max-steps 3 --batch-size 4 --train-size 40 --test-size 20 --quiet";
  const { code, stderr } = await celgc("launch", ...args.split(" "), "--out", out);
  assert.equal(code, 0, stderr);
  const weights = decodeSafetensors(await Deno.readFile(join(out, "model.safetensors")));
  const expected = Object.fromEntries(
    weights.tensors.map(({ name, dims, data }) => [name, {
      shape: [...dims],
      sha256: hashOf(data),
    }]),
  );
  assert.ok(Object.keys(expected).length > 5);
  return { out, expected };
}

Deno.test(`others' libraries open a run's files, which hold its weights bit for bit${onnxNote}`, async (t) => {
  await using folder = await temporaryFolder();
  const { out, expected } = await trained(folder.path);

  await t.step({
    name: "ONNX's own opens model.onnx",
    ignore: !hasOnnx,
    async fn() {
      const { tensors, inputs, outputs } = await readBy("onnx", join(out, "model.onnx"));
      assert.deepEqual([inputs?.length, outputs?.length], [1, 1]);
      for (const [name, tensor] of Object.entries(expected)) {
        assert.deepEqual(tensors[name], tensor, name);
      }
    },
  });

  await t.step(
    "JAX's in TypeScript opens model.safetensors, as views of the file's bytes",
    async () => {
      const { safetensors } = await loadSafetensorsReader();
      const { tensors } = safetensors.parse(await Deno.readFile(join(out, "model.safetensors")));
      assert.deepEqual(
        Object.fromEntries(
          Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
            assert.equal(dtype, "F32", name);
            return [name, { shape, sha256: hashOf(data) }];
          }),
        ),
        expected,
      );
    },
  );

  if (!hasSafetensors) return; // Debian has no package of it; the reader above is always there.
  await t.step("safetensors' own opens model.safetensors", async () => {
    const { tensors } = await readBy("safetensors", join(out, "model.safetensors"));
    assert.deepEqual(tensors, expected);
  });
});
