import assert from "node:assert/strict";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { checkParts } from "../../../../tasks/training/opening/train_parts.ts";

Deno.test("a folder that is named where train() does not look for it is refused", () => {
  const options = resolveOptions({ ranks: 1, algorithm: "single", out: "runs/mine" });
  assert.throws(
    () => checkParts({}, options, 0),
    /^RangeError: cannot write to runs\/mine: out is set, parts\.output, .* is not$/,
  );
  checkParts({ output: { directory: "runs/mine" } }, options, 0);
  checkParts({}, options, 1);
});
