import assert from "node:assert/strict";
import { pageScript } from "../../../tasks/report/html.ts";
import { linkModules } from "../../../tasks/report/link_modules.ts";
import { deno } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { serveRepository } from "../../_helpers/web_folder.ts";

const START = import.meta.resolve("../../../tasks/report/page/start.ts");

/** Links modules that are given as text, `a.ts` first. */
const link = (files: Record<string, string>) =>
  linkModules("file:///a.ts", (url) => Promise.resolve(files[url.replace("file:///", "")]));

/** Imports a text as a module, which is strict. */
const load = (code: string) => import(`data:text/javascript,${encodeURIComponent(code)}`);

Deno.test("the page's modules are one strict module, the same whenever they are linked", async () => {
  const code = await linkModules(START);
  assert.equal(await linkModules(START), code);
  assert.deepEqual(Object.keys(await load(code)), ["startPage", "watchServer"]);
  assert.doesNotMatch(code, /\binterface\b|: PageState|import /);
});

Deno.test("a package that was imported by URL reads its page's modules from there", async () => {
  // As hosts of source code send it.
  await using server = serveRepository("text/plain; charset=utf-8");
  const folder = `${server.url}tasks/report`;
  await using cache = await temporaryFolder();
  const program = `${cache.path}/link.ts`;
  await Deno.writeTextFile(
    program,
    `import { linkModules } from "${folder}/link_modules.ts";
     console.log(await linkModules("${folder}/page/start.ts"));`,
  );
  // No more than the permission to import, which who runs it by URL has given.
  const args = ["run", "--quiet", "--no-check", "--no-config"];
  const { stdout, stderr } = await deno(
    [...args, `--allow-import=${server.host}`, program],
    { env: { DENO_DIR: `${cache.path}/cache`, NO_COLOR: "1" } },
  );
  assert.equal(stderr, "");
  assert.equal(stdout, `${await linkModules(START)}\n`);
});

Deno.test("the page's script uses no name that it does not declare", async () => {
  await using folder = await temporaryFolder();
  const lint = async (code: string) => {
    const file = `${folder.path}/page.js`;
    await Deno.writeTextFile(file, code);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["lint", "--json", "--no-config", "--rules-tags=", "--rules-include=no-undef", file],
      stderr: "null",
    }).output();
    const { diagnostics } = JSON.parse(new TextDecoder().decode(stdout));
    return diagnostics.map(({ message }: { message: string }) => message);
  };
  assert.deepEqual(await lint(await pageScript()), []);
  // The linter is one that finds them.
  assert.deepEqual(await lint("export const f = () => lost + 1;\n"), ["lost is not defined"]);
});

Deno.test("modules keep their own names, and share what they export", async () => {
  const code = await link({
    "a.ts": `import { one, two as second } from "./b.ts";\nimport type { T } from "./t.ts";\n` +
      `const own: T = 3;\nexport function sum(): number { return own + one() + second; }\n`,
    "b.ts": `const own = 1;\nexport const one = (): number => own;\n` +
      `export const two: number = 2 * own;\n`,
  });
  assert.equal((await load(code)).sum(), 6);
});

Deno.test("modules that a compiler has written are linked as their sources are", async () => {
  // As `deno pack` writes them: a statement stands on the line on which the comment before it ends.
  const code = await link({
    "a.ts": `/**\n * What it is.\n */ import { one } from "./b.js";\n` +
      `/**\n * Adds.\n */ export function sum() {\n  return one + 1;\n}\n`,
    "b.js": `/** One. */ export const one = 1;\n`,
  });
  assert.equal((await load(code)).sum(), 2);
});

Deno.test("what the linker does not understand it refuses, by name", async () => {
  for (
    const [text, found] of [
      [`import * as b from "./b.ts";`, /a\.ts: "import \* as b/],
      [`import b from "./b.ts";`, /"import b from/],
      [`import { b } from "npm:b";`, /"import \{ b \} from "npm:b";"/],
      [`export default 1;`, /"export default 1;"/],
      [`export * from "./b.ts";`, /"export \* from/],
      [`const b = await import("./b.ts");`, /import\("\.\/b\.ts"\)/],
      [`export let counter = 0;`, /"export let counter/],
      [`const a = 1; export const b = 2;`, /a\.ts: Unexpected token 'export'/],
      [`const a = ;`, /a\.ts: /],
    ] as const
  ) await assert.rejects(link({ "a.ts": `${text}\n`, "b.ts": "" }), found);
  await assert.rejects(
    link({ "a.ts": `import { b } from "./b.ts";\n`, "b.ts": `import { a } from "./a.ts";\n` }),
    /a\.ts → file:\/\/\/b\.ts → file:\/\/\/a\.ts: a circle of imports/,
  );
});
