import assert from "node:assert/strict";
import { evaluationWindows } from "../../../../tasks/data/text/text_evaluation.ts";
import { createTextSampler } from "../../../../tasks/data/text/text_sampler.ts";
import { FileTokens, firstTokens, TokenWriter } from "../../../../tasks/data/text/tokens.ts";
import { windowTask } from "../../../../tasks/problems/window_task.ts";
import { withFolder } from "../../../_helpers/temporary_folder.ts";

for (const vocabulary of [2 ** 16, 2 ** 16 + 1]) {
  Deno.test(`tokens in a file are read as those in memory are, ${vocabulary} different ones`, async () => {
    await withFolder(async (folder) => {
      const all = Int32Array.from({ length: 700 }, (_, i) => (i * 7919 + 3) % vocabulary);
      all[17] = vocabulary - 1;
      using file = await Deno.open(`${folder}/t`, { read: true, write: true, createNew: true });
      const writer = new TokenWriter(file, vocabulary);
      await writer.write(all.slice(0, 333));
      await writer.write([...all.slice(333)]);
      assert.equal(writer.count, 700);
      const train = new FileTokens(file, vocabulary, [0, 500]);
      const held = new FileTokens(file, vocabulary, [500, 700]);
      assert.deepEqual(held.slice(0, 9999), all.slice(500));
      assert.deepEqual(train.slice(17, 17), new Int32Array());
      assert.deepEqual(firstTokens(held, 50).slice(40, 60), all.slice(540, 550));

      const inMemory = { train: all.slice(0, 500), valid: all.slice(500), test: all.slice(500) };
      const inFile = { train, valid: held, test: held };
      const windows = {
        batchSize: 3,
        ranks: 2,
        seed: 4,
        partition: "iid",
        bptt: 7,
        evalTokens: 60,
      };
      for (const rank of [0, 1]) {
        const [one, other] = [inMemory, inFile].map((text) => windowTask(text, windows, rank));
        for (const t of [1, 5, 30]) assert.deepEqual(other.batch(t), one.batch(t));
        const batches = (task: typeof one) => task.splits.map((split) => [...split.batches()]);
        assert.deepEqual(batches(other), batches(one));
        const [sampler, fromFile] = [inMemory, inFile].map(({ train: tokens }) =>
          createTextSampler({ tokens, batchSize: 3, rank, ranks: 2, seed: 1, bptt: 9 })
        );
        for (const step of [0, 3, 40]) {
          assert.deepEqual(fromFile.window(step), sampler.window(step));
        }
      }
      for (const options of [{ columns: 4, length: 9 }, { columns: 150, length: 2 }]) {
        assert.deepEqual(
          [...evaluationWindows(held, options)],
          [...evaluationWindows(all.slice(500), options)],
        );
      }
    });
  });
}
