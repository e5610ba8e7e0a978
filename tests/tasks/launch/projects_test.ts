/** The library in other people's projects, whatever these have set. */

import assert from "node:assert/strict";
import { deno } from "../../_helpers/deno.ts";
import { serveRepository } from "../../_helpers/web_folder.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

const program = (url: string) =>
  `import { launch, type Run } from "${url}";
const run: Run = await launch({
  ranks: 2, maxSteps: 2, trainSize: 40, testSize: 10, device: "cpu", out: "run",
});
console.log(run.summary.identicalWeights);
`;

const PACKAGE = { name: "project", type: "module", dependencies: {} };

/** What a project may have, by file. */
const PROJECTS: Record<string, Record<string, unknown>> = {
  "a package.json": { "package.json": PACKAGE, "deno.json": { nodeModulesDir: "none" } },
  "strict compiler options": {
    "deno.json": {
      compilerOptions: {
        strict: true,
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        noImplicitOverride: true,
        noUnusedLocals: true,
      },
    },
  },
  "a package.json and a node_modules folder": {
    "package.json": PACKAGE,
    "deno.json": { nodeModulesDir: "auto" },
  },
};

for (const [what, files] of Object.entries(PROJECTS)) {
  Deno.test(`in a project with ${what} a program is checked, and trains`, async () => {
    await using folder = await temporaryFolder();
    await using server = serveRepository();
    const text = program(`${server.url}mod.ts`);
    for (const [name, content] of Object.entries({ ...files, "program.ts": text })) {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      await Deno.writeTextFile(`${folder.path}/${name}`, text);
    }
    const args = ["run", "--check", "--quiet", "-A", "program.ts"];
    const { code, stdout, stderr } = await deno(args, { cwd: folder.path });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, "true\n");
  });
}
