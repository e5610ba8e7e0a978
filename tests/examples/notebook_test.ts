/** The notebooks of the documentation, run cell by cell as Deno's kernel would. */

import assert from "node:assert/strict";
import { temporaryFolder } from "../_helpers/temporary_folder.ts";

interface Cell {
  readonly cell_type: "code" | "markdown";
  readonly source: readonly string[];
  readonly outputs?: readonly unknown[];
}

/**
 * Stands for `Deno.jupyter`, which is the kernel's alone: what it would show is printed, a line of JSON with MIME
 * types and their contents.
 */
const KERNEL = `
const bundle = (type) => (strings, ...values) =>
  ({ [Symbol.for("Jupyter.display")]: () => ({ [type]: String.raw({ raw: strings }, ...values) }) });
const kernel = {
  md: bundle("text/markdown"),
  svg: bundle("image/svg+xml"),
  display: async (shown) =>
    console.log("shown " + JSON.stringify(await shown[Symbol.for("Jupyter.display")]())),
};
`;

/** Runs a notebook's code cells in their order, in one process. Returns what they have displayed. */
async function displayed(notebook: URL): Promise<Record<string, string>[]> {
  const { cells } = JSON.parse(await Deno.readTextFile(notebook)) as { cells: Cell[] };
  const code = cells.filter((cell) => cell.cell_type === "code");
  assert.ok(code.every(({ outputs }) => outputs?.length === 0), "it is kept without outputs");
  // A cell imports relative to the notebook.
  const program = code.map(({ source }) => source.join("")).join("\n")
    .replaceAll(/from "(\.[^"]+)"/g, (_, path) => `from "${new URL(path, notebook)}"`)
    .replaceAll("Deno.jupyter.", "kernel.");
  await using folder = await temporaryFolder();
  const file = `${folder.path}/notebook.ts`;
  await Deno.writeTextFile(file, KERNEL + program);
  const { code: status, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", file],
    env: { TMPDIR: folder.path },
  }).output();
  assert.equal(status, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).split("\n")
    .filter((line) => line.startsWith("shown ")).map((line) => JSON.parse(line.slice(6)));
}

Deno.test("the notebook of a sweep runs from top to bottom, and its figures are pictures", async () => {
  const shown = await displayed(new URL("../../docs/notebooks/sweep.ipynb", import.meta.url));
  const [table, ...rest] = shown, page = rest.pop()!;
  const rows = table["text/markdown"].split("\n").slice(2).map((row) => row.split("|"));
  const rounds = rows.map((row) => [row[1].trim(), Number(row[2])]);
  assert.deepEqual(rounds, [
    ["algorithm=naive-parallel", 32],
    ["interval=1", 32],
    ["interval=4", 8],
    ["interval=16", 2],
  ]);
  assert.equal(rest.length, 3);
  for (const { "image/svg+xml": svg } of rest) {
    assert.match(svg, /^<svg [^>]*viewBox=/);
    assert.ok(svg.includes("<path") && svg.includes("</svg>"), svg.slice(0, 200));
  }
  assert.match(page["text/markdown"], /report\.html/);
});
