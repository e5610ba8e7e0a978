import assert from "node:assert/strict";
import { Latest } from "../../../tasks/launch/view.ts";
import type { StepRecord } from "../../../tasks/run/metrics.ts";
import { position } from "../run_folder.ts";
import { ROOT } from "../../_helpers/deno.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";

/** util-linux's script(1) gives a program a terminal. */
const hasTerminal = await new Deno.Command("script", { args: ["--version"], stdout: "null" })
  .output().then(({ success }) => success, () => false);
if (!hasTerminal) console.warn("script(1) is not installed: the terminal test is skipped");

Deno.test({
  name: "on a terminal a bar shows the steps, evaluations stay above it, and it is gone at the end",
  ignore: !hasTerminal,
  async fn() {
    await using folder = await temporaryFolder();
    const program = new URL("tasks/cli/main.ts", ROOT).href;
    const command = `'${Deno.execPath()}' run -A '${program}' launch --ranks 2 --max-steps 6 ` +
      `--train-size 100 --test-size 20 --device cpu --out '${folder.path}/run'`;
    const { code, stdout } = await new Deno.Command("script", {
      args: ["-qec", command, "/dev/null"],
      stdin: "null",
      env: { TERM: "xterm", COLUMNS: "200" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.equal(code, 0, text);
    assert.match(text, /[█░]+ step \d\/6 /);
    assert.match(text, /loss \d\.\d+ +[▁▂▃▄▅▆▇█]{2,6} +clipped/, "the losses are drawn");
    assert.match(text, /untrained +test accuracy/);
    // The last evaluation comes when the bar is about to go, and is shown all the same.
    assert.match(text, /epoch 1\.92 +test accuracy/);
    const [, summary] = text.split("\ntest loss");
    assert.ok(summary.includes("identical, bit for bit"));
    assert.doesNotMatch(summary, /[█░]/);
    // deno-lint-ignore no-control-regex -- the escape sequence is what is looked for
    assert.match(text, /\x1b\[\?25h/, "the cursor is shown again");
  },
});

Deno.test("a step that was skipped, whose loss is null in the log, is shown without one", () => {
  const latest = new Latest();
  const step = { type: "step", ...position(1, 10), gradNorm: 1, clipped: false, loss: null };
  assert.ok(latest.take(step as unknown as StepRecord));
  assert.deepEqual(latest.parts, ["epoch 0.10", "loss –", "clipped 0 %"]);
});
