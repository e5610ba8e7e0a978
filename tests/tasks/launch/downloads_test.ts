/** What is said before an engine is fetched; nothing is fetched here. */

import assert from "node:assert/strict";
import { ONNXRUNTIME_VERSION } from "../../../deps.ts";
import { findData, sayDownload } from "../../../tasks/launch/downloads.ts";
import { resolveDevice } from "../../../runtime/devices/open.ts";
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
    const before = Deno.env.get("DENO_DIR"), lines: string[] = [];
    const say = sayDownload((line) => lines.push(line));
    try {
      Deno.env.set("DENO_DIR", folder.path);
      await resolveDevice(kind, say);
      assert.equal(lines.length, 1);
      assert.ok(lines[0].includes(name) && lines[0].includes(size), lines[0]);
      const cached = `${folder.path}/npm/registry.example.org/${name}/${ONNXRUNTIME_VERSION}`;
      await Deno.mkdir(cached, { recursive: true });
      await resolveDevice(kind, say);
      assert.equal(lines.length, 1, "a cached one is not spoken of");
    } finally {
      if (before === undefined) Deno.env.delete("DENO_DIR");
      else Deno.env.set("DENO_DIR", before);
    }
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
