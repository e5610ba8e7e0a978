/** What is said before an engine is fetched; nothing is fetched here. */

import assert from "node:assert/strict";
import { ONNXRUNTIME_VERSION } from "../../../deps.ts";
import { findData, sayDownload } from "../../../tasks/launch/downloads.ts";
import { resolveDevice } from "../../../runtime/devices/open.ts";
import { deno, ROOT } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

await resolveDevice("cpu");
await resolveDevice("wasm");

for (
  const [kind, name, size] of [
    ["cpu", "onnxruntime-node", "290 MB"],
    ["wasm", "onnxruntime-web", "140 MB"],
  ] as const
) {
  Deno.test(`${kind}: a download of the engine is said with its size, where the cache lacks it`, async () => {
    await using folder = await temporaryFolder();
    const engine = `npm/registry.example.org/${name}/${ONNXRUNTIME_VERSION}`;
    const program = new URL("tests/tasks/programs/fetches_engine.ts", ROOT).href;
    const args = ["run", "-A", "--no-check", program, kind, folder.path, engine];
    const { code, stdout, stderr } = await deno(args);
    assert.equal(code, 0, stderr);
    const [line, ...others] = stdout.trim().split("\n");
    assert.ok(line.includes(name) && line.includes(size), stdout);
    assert.deepEqual(others, ["it is cached"], "a cached one is not spoken of");
  });

  Deno.test(`${kind}: where the engine is cached nothing is said`, async () => {
    await resolveDevice(kind, sayDownload((line) => assert.fail(line)));
  });
}

Deno.test("--download fetches nothing where CIFAR-10 is whole in another form, whichever it is", async () => {
  await using folder = await temporaryFolder();
  const flat = `${folder.path}/flat`, hub = `${folder.path}/hub`, some = `${folder.path}/some`;
  const parts = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}`);
  const layouts: Record<string, string[]> = {
    [flat]: [...parts, "test_batch"].map((name) => `${name}.bin`),
    [hub]: ["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"],
    [some]: ["data_batch_1.bin", "test_batch.bin"],
  };
  for (const [place, names] of Object.entries(layouts)) {
    await Deno.mkdir(place);
    for (const name of names) await Deno.writeTextFile(`${place}/${name}`, "");
  }
  const find = (data: string) =>
    findData({ task: "cifar10", data, download: true, mirror: [] }, "silent");
  assert.equal(await find(flat), flat);
  assert.equal(await find(hub), hub);
  // A part of it is not the data set. Here it cannot be fetched: a file is where its folder would be.
  await Deno.writeTextFile(`${some}/cifar-10-batches-bin`, "");
  await assert.rejects(find(some), /cannot fetch CIFAR-10: .*cifar-10-batches-bin/);
});
