import assert from "node:assert/strict";
import { join } from "node:path";
import { openTokenizer } from "../../../tasks/data/tokenizers/tokenizer.ts";
import { parseTokenizer } from "../../../tasks/data/tokenizers/spec.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { openProblem } from "../../../tasks/problems/open_problem.ts";
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

/** The files below a folder that this process holds open, those without a name as well. */
function heldBelow(folder: string): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return []; // closed meanwhile
    }
  }).filter((path) => path.startsWith(folder));
}

const missing = Deno.build.os === "linux" ? null : "what is open is read from Linux's /proc";

Deno.test({
  name: `a text of which a rank has no part is let go${missing ? ` (skipped: ${missing})` : ""}`,
  ignore: missing !== null,
  async fn() {
    await using home = await temporaryFolder();
    const data = join(home.path, "text.txt"), parts = { folder: home.path };
    await Deno.writeTextFile(data, "the cat sat on the mat\n".repeat(50));
    const options = resolveOptions({ task: "text", data, tokenizer: "char", ranks: 64 });
    await assert.rejects(openProblem(options, 0, "cpu", parts), { name: "OptionError" });
    assert.deepEqual(heldBelow(home.path), []);
    const { opened } = await openProblem({ ...options, ranks: 1, batchSize: 1 }, 0, "cpu", parts);
    assert.equal(heldBelow(home.path).length, 1);
    opened![Symbol.dispose]();
    assert.deepEqual(heldBelow(home.path), []);
  },
});
