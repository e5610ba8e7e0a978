import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { sourceCommit } from "../../../tasks/run/source_commit.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567", OTHER = COMMIT.replaceAll("0", "f");

/** A folder that git would take for a checkout. */
async function checkout(parent: string, name: string, files: Record<string, string>) {
  for (const [path, text] of Object.entries(files)) {
    const file = `${parent}/${name}/${path}`;
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(file, text);
  }
  return pathToFileURL(`${parent}/${name}/`);
}

Deno.test("the commit of a checkout: a branch loose or packed, no branch, a worktree", async () => {
  await using folder = await temporaryFolder();
  const at = (name: string, files: Record<string, string>) => checkout(folder.path, name, files);
  const main = { ".git/HEAD": "ref: refs/heads/main\n" };
  const loose = await at("loose", { ...main, ".git/refs/heads/main": `${COMMIT}\n` });
  const packed = `# pack-refs\n${OTHER} refs/heads/other\n${COMMIT} refs/heads/main\n`;
  const tree = await at("tree", { ".git": "gitdir: ../packed/.git/worktrees/tree\n" });
  await at("packed", {
    ...main,
    ".git/packed-refs": packed,
    ".git/worktrees/tree/HEAD": "ref: refs/heads/other\n",
    ".git/worktrees/tree/commondir": "../..\n",
  });
  assert.equal(sourceCommit(loose), COMMIT);
  assert.equal(sourceCommit(pathToFileURL(`${folder.path}/packed/`)), COMMIT);
  assert.equal(sourceCommit(await at("detached", { ".git/HEAD": `${COMMIT}\n` })), COMMIT);
  assert.equal(sourceCommit(tree), OTHER);
});

Deno.test("where there is no checkout, or none that can be read, there is no commit", async () => {
  await using folder = await temporaryFolder();
  const bare = await checkout(folder.path, "plain", { "file": "" });
  const fresh = await checkout(folder.path, "fresh", { ".git/HEAD": "ref: refs/heads/main\n" });
  const odd = await checkout(folder.path, "odd", { ".git/HEAD": "something else\n" });
  for (const root of [bare, fresh, odd, new URL("https://example.com/celgc/")]) {
    assert.equal(sourceCommit(root), null, root.href);
  }
});
