import assert from "node:assert/strict";
import { join } from "node:path";
import { openTokenizer } from "../../../tasks/data/tokenizers/tokenizer.ts";
import { parseTokenizer } from "../../../tasks/data/tokenizers/spec.ts";
import { openOwnText } from "../../../tasks/problems/own_text.ts";
import { makeTokenizer } from "../../../tasks/run/tokenizer_file.ts";
import { PER_RANK } from "../../../runtime/once_per_host.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const namesIn = async (folder: string) => (await Array.fromAsync(Deno.readDir(folder))).length;

Deno.test("of a text's tokens no file keeps a name, whether or not all ranks have come to them", async () => {
  await using home = await temporaryFolder();
  const data = join(home.path, "text.txt"), folder = join(home.path, "tokens");
  await Deno.writeTextFile(data, "the cat sat on the mat\n".repeat(50));
  await Deno.mkdir(folder);
  const options = { data, tokenizer: "char", validFraction: 0.1, testFraction: 0.1 };
  const file = await makeTokenizer(options);
  const tokenizer = await openTokenizer(parseTokenizer(options.tokenizer), file);
  const lost = new Error("rank 1 is lost");
  const sharing = { ...PER_RANK, arrive: () => Promise.reject(lost) };
  await assert.rejects(
    openOwnText(options, tokenizer, { folder, sharing }),
    (error) => error === lost,
  );
  assert.equal(await namesIn(folder), 0);
  using text = await openOwnText(options, tokenizer, { folder });
  assert.equal(await namesIn(folder), 0);
  assert.equal(text.train.length + text.valid.length + text.test.length, 50 * 23);
});
