import assert from "node:assert/strict";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { sampleTask } from "../../../tasks/problems/sample_task.ts";

const SET = {
  count: 10,
  feeds(batchSize: number) {
    const data = new Float32Array(batchSize * 3072);
    const feeds = { input: { type: "float32", dims: [batchSize, 3072], data } } as const;
    return { feeds, fill() {}, leaveOut() {} };
  },
};
const SETS = { what: "images", labels: new Uint8Array(10), classes: 2, train: SET, test: SET };

const REFUSED: Record<string, [Parameters<typeof resolveOptions>[0], RegExp]> = {
  "a batch for which there is no memory": [
    { batchSize: 2 ** 42 },
    /^--batch-size 4398046511104: .* so many images .*: give a smaller one$/,
  ],
  "a validation set of no sample": [
    { validFraction: 0.01 },
    /^--valid-fraction 0\.01 of 10 images holds none out .*: give a larger one$/,
  ],
};

for (const [what, [given, message]] of Object.entries(REFUSED)) {
  Deno.test(`${what} is refused with its number, and the way out`, () => {
    const options = resolveOptions({ ranks: 1, algorithm: "single", ...given });
    assert.throws(
      () => sampleTask(SETS, options, 0),
      (error) => error instanceof OptionError && message.test(error.message),
    );
  });
}
