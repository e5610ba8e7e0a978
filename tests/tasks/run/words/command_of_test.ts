import assert from "node:assert/strict";
import { argumentsOf, quoteArguments } from "../../../../tasks/run/words/command_of.ts";
import { defaultsOf, filesOf } from "../../../../tasks/options/defaults.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { type OptionName, OPTIONS, type Options } from "../../../../tasks/options/table.ts";
import { PRESET_NAMES, TASK_NAMES } from "../../../../tasks/options/values.ts";

/** The options that a command line gives, as far as these flags go. */
function parse(args: readonly string[]): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  for (let i = 0; i < args.length; i++) {
    const [name, spec] = Object.entries(OPTIONS).find(([, { flag }]) => flag === args[i])!;
    given[name] = spec.placeholder === null ? true : spec.parse(args[++i]);
  }
  return given;
}

Deno.test("the arguments of a run's options give the same options again", () => {
  const data = "some/folder";
  const dataOf = (given: Partial<Options>) =>
    filesOf(defaultsOf(given).task) === null ? {} : { data };
  const runs: Partial<Record<OptionName, unknown>>[] = [
    {},
    ...TASK_NAMES.map((task) => ({ task, ...dataOf({ task }) })),
    ...PRESET_NAMES.map((preset) => ({ preset, ...dataOf({ preset }) })),
    ...PRESET_NAMES.map((preset) => ({ preset, ...dataOf({ preset }), scale: 0.01, interval: 3 })),
    { task: "ptb", data, scale: 0.1, hidden: 50, dropoutHidden: 0 },
    { algorithm: "single", lr: 0.1, decayAt: [1.5, 2], decayClip: true },
    { algorithm: "diloco", nesterov: true, momentum: 0.9, ranks: 3, seed: 7, device: "wasm" },
    { partition: "proportional:40,30,20,10", ranks: 4, participants: 2 },
  ];
  for (const given of runs) {
    const options = resolveOptions(given);
    const args = argumentsOf(options);
    const again = resolveOptions({ ...parse(args), data: options.data });
    assert.deepEqual(again, options, quoteArguments(args));
  }
});

Deno.test("what is the default is left out, and a shell reads each argument as one", () => {
  assert.deepEqual(argumentsOf(resolveOptions({})), []);
  assert.deepEqual(argumentsOf(resolveOptions({ interval: 8, task: "generated-images" })), [
    "--interval",
    "8",
  ]);
  assert.equal(quoteArguments(["--model", "it's a.onnx"]), `--model 'it'\\''s a.onnx'`);
});
