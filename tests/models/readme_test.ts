import assert from "node:assert/strict";
import { operatorCoverage } from "../../models/mod.ts";

const README = new URL("../../models/README.md", import.meta.url);

/** The operators as the README's table has them. */
function table(): string {
  const yes = (value: boolean) => value ? "yes" : "";
  const rows = operatorCoverage().map((
    { op, family, gradient, folds, webgpu },
  ) => [op, `ops/${family}.ts`, yes(gradient), yes(folds), yes(webgpu)]);
  const all = [["operator", "rules", "gradient", "folds", "webgpu"], ...rows];
  const widths = all[0].map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const line = (row: string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  const [head, ...body] = all.map(line);
  return [head, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body].join("\n");
}

Deno.test("the table of operators in models/README.md is what the code says", async () => {
  const [before, rest] = (await Deno.readTextFile(README)).split("<!-- operators -->\n");
  const [found, after] = rest.split("<!-- /operators -->");
  const text = [before, `<!-- operators -->\n\n${table()}\n\n<!-- /operators -->`, after].join("");
  if (Deno.env.get("WRITE") === "1") await Deno.writeTextFile(README, text);
  else {assert.equal(
      found.trim(),
      table(),
      "write it with WRITE=1 deno test -A tests/models/readme_test.ts",
    );}
});
