import assert from "node:assert/strict";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { defaultOptions, OPTIONS, type Options } from "../../../tasks/options/table.ts";
import { algorithmOf, resolveOptions } from "../../../tasks/options/resolve.ts";
import { notesOn } from "../../../tasks/options/rules.ts";

/** Reads one option from the command line's text. */
const parse = (name: keyof typeof OPTIONS, text: string) => OPTIONS[name].parse(text);

Deno.test("every option has a flag of its own, and its default is a value it may have", () => {
  const specs = Object.entries(OPTIONS);
  assert.equal(new Set(specs.map(([, { flag }]) => flag)).size, specs.length);
  for (const [name, spec] of specs) {
    const dashed = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    assert.equal(spec.flag, `--${dashed}`);
    assert.deepEqual(spec.check(spec.default), spec.default, name);
  }
});

Deno.test("values are read from text", () => {
  assert.equal(parse("interval", "16"), 16);
  assert.equal(parse("lr", "3e-1"), 0.3);
  assert.equal(parse("device", "wasm"), "wasm");
  assert.deepEqual(parse("decayAt", "80,120.5"), [80, 120.5]);
  assert.deepEqual(parse("decayAt", ""), []);
  assert.deepEqual(parse("env", "A=1\nB=x=y"), { A: "1", B: "x=y" });
  assert.deepEqual(parse("allow", "net\nread=a,b"), ["net", "read=a,b"]);
  assert.deepEqual(parse("allow", "read=a,,write=b"), ["read=a,,write=b"]);
  assert.equal(parse("nesterov", ""), true);
  assert.equal(parse("partition", "dirichlet:0.50"), "dirichlet:0.5");
  assert.equal(parse("link", "20ms,0.1gbit"), "100mbit,20ms");
  assert.equal(parse("syncEvery", "500ms"), 0.5);
  assert.equal(parse("syncEvery", "1.5min"), 90);
});

Deno.test("a wrong value is refused in one line with the flag, the rule and the value", () => {
  const wrong: [keyof typeof OPTIONS, string, RegExp][] = [
    ["interval", "0", /^--interval must be a whole number from 1, not 0$/],
    ["interval", "2.5", /^--interval must be a whole number from 1, not 2\.5$/],
    ["interval", "four", /not "four"$/],
    ["interval", "0x10", /not "0x10"$/],
    ["lr", "0", /^--lr must be a number above 0, not 0$/],
    ["lr", "", /not ""$/],
    ["momentum", "1", /^--momentum must be a number from 0 below 1, not 1$/],
    [
      "clipBy",
      "global",
      /^--clip-by must be one of local, global-average, max, layer, agc, value, smooth, not "global" \(did you mean global-average\?\)$/,
    ],
    ["model", "resent20", /not "resent20" \(did you mean resnet20\?\)$/],
    ["model", "vgg16", /or the path or URL of an \.onnx file, not "vgg16"$/],
    ["algorithm", "CELGC", /not "CELGC" \(did you mean celgc\?\)$/],
    ["algorithm", "naive", /\(did you mean naive-parallel\?\)$/],
    ["preset", "cifar10", /not "cifar10"$/],
    ["decayAt", "80;120", /^--decay-at must be numbers above 0, separated by commas/],
    ["env", "A", /^--env must be NAME=VALUE, not "A"$/],
    ["partition", "dirichlet:-1", /^--partition: .*dirichlet:-1/],
    ["seed", "-1", /^--seed must be/],
    ["syncEvery", "2", /^--sync-every must be a time above 0 such as .*, not "2"$/],
    ["syncEvery", "0s", /not "0s"$/],
    ["maxWait", "5", /^--max-wait must be a time above 0 such as .*, not "5"$/],
    ["link", "fast", /^--link: a link is a bandwidth .*not "fast"$/],
  ];
  for (const [name, text, message] of wrong) {
    assert.throws(() => parse(name, text), (error) => {
      assert.ok(error instanceof OptionError, `${name} ${text}`);
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
  }
});

Deno.test("options from code are checked like those from text", () => {
  assert.throws(() => resolveOptions({ interval: "4" }), /--interval must be/);
  assert.throws(() => resolveOptions({ intervall: 4 }), /intervall \(did you mean interval\?\)/);
  assert.throws(() => resolveOptions({ learningRate: 4 }), /learningRate \(did you mean lr\?\)/);
  assert.throws(() => resolveOptions({ constructor: 4 }), /unknown option constructor$/);
  assert.throws(() => resolveOptions({ lr: NaN }), /--lr must be .*, not NaN$/);
  assert.throws(() => resolveOptions({ seed: 1n }), /--seed must be .*, not 1$/);
  assert.throws(() => resolveOptions({ decayAt: "80" }), /--decay-at must be/);
});

Deno.test("a folder of data is not passed over in silence by a task that draws its own", () => {
  assert.throws(() => resolveOptions({ data: "dir" }), /--data .*generated-images.*--task cifar10/);
  assert.throws(() => resolveOptions({ download: true }), /--download .*generated-images/);
  assert.equal(resolveOptions({ data: "dir", task: "cifar10" }).data, "dir");
  assert.equal(resolveOptions({ data: null, download: false }).task, "generated-images");
});

Deno.test("what is given wins over the preset, and the preset over the default", () => {
  const options = resolveOptions({ preset: "cifar10-resnet56", data: "dir", lr: 0.2 });
  assert.equal(options.lr, 0.2);
  assert.equal(options.model, "resnet56");
  assert.equal(options.batchSize, 64);
  assert.deepEqual(options.decayAt, [80, 120]);
  assert.equal(options.interval, defaultOptions().interval);
  assert.equal(resolveOptions({}).model, defaultOptions().model);
});

Deno.test("options that contradict each other are refused", () => {
  const refused: [Record<string, unknown>, RegExp][] = [
    [{ algorithm: "single", ranks: 4 }, /--algorithm single runs on one rank, not on --ranks 4/],
    [{ ranks: 4, participants: 5 }, /--participants must be at most --ranks, 4, not 5/],
    [
      { ranks: 4, world: 2 },
      /--world has all ranks, at least the 4 that --ranks starts here, not 2/,
    ],
    [{ maxWait: 5, overlap: true }, /^--max-wait does not go with --overlap/],
    [{ maxWait: 5, syncEvery: 1 }, /^--max-wait has nothing to do with --sync-every/],
    [
      { maxWait: 5, algorithm: "naive-parallel" },
      /^--max-wait does not go with --algorithm naive-/,
    ],
    [{ maxWait: 5, algorithm: "episode" }, /^--max-wait does not go with --algorithm episode/],
    [
      { maxWait: 5, ranks: 2, partition: "proportional:40,60" },
      /^--max-wait does not go with --partition proportional:40,60/,
    ],
    [
      { onFailure: "shrink", task: "arrays", data: ".", partition: "dirichlet:1" },
      /^--on-failure shrink does not go with --partition dirichlet:1/,
    ],
    [{ sampling: "cyclic" }, /^--sampling: ranks are drawn uniform, dirichlet:ALPHA/],
    [{ sampling: "dirichlet:1" }, /^--sampling: dirichlet:1 draws .* all 8 of them take part/],
    [{ sampling: "periodic:3,1" }, /^--sampling: .* 3 does not divide the 8 ranks/],
    [
      { sampling: "periodic:2,1", participants: 4 },
      /^--sampling: with periodic:2,1 2 ranks are there at a time, so 4 cannot take part/,
    ],
    [
      { algorithm: "slowmo", sampling: "periodic:2,1" },
      /^--sampling periodic:2,1 does not go with --algorithm slowmo, which needs all ranks/,
    ],
    [
      { overlap: true, sampling: "periodic:2,1" },
      /^--overlap needs all 8 ranks in every round, not --participants 2/,
    ],
    [{ task: "cifar10" }, /--task cifar10 needs --data DIR/],
    [{ syncEpochs: true, overlap: true }, /--sync-epochs does not go with --overlap/],
    [{ syncEpochs: true, syncEvery: 2 }, /--sync-epochs does not go with --sync-every/],
    [{ averaging: "epoch" }, /--averaging epoch has no effect with --task generated-images/],
    [
      { task: "generated-text", averaging: "epoch" },
      /--averaging epoch has no effect with --averaging-trigger none: leave it out/,
    ],
    [{ nesterov: true }, /momentum/],
    [{ ranks: 2, partition: "proportional:50,30,20" }, /3/],
    [{ partition: "rotate" }, /rotate/],
  ];
  for (const [options, message] of refused) {
    assert.throws(() => resolveOptions(options), (error) => {
      assert.ok(error instanceof OptionError);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("the baseline draws ranks as the others do, a preset's number as well as a given one", () => {
  const preset = "ptb-partial-participation", data = "dir";
  const of = (given: Record<string, unknown>) => resolveOptions({ preset, data, ...given });
  assert.equal(of({}).participants, 6);
  const algorithm = "naive-parallel";
  assert.equal(of({ algorithm }).participants, 6);
  assert.throws(() => of({ algorithm: "slowmo" }), /not --participants 6: give --participants 8$/);
  assert.throws(() => of({ algorithm, ranks: 2 }), /--participants must be at most --ranks, 2/);
  assert.equal(of({ algorithm, participants: null }).participants, null);
  assert.equal(of({ algorithm: "single" }).participants, null);
  assert.equal(of({ algorithm, participants: 8 }).participants, 8);
});

Deno.test("with periodic sampling all that are there take part, unless fewer are asked for", () => {
  const sampling = "periodic:4,2";
  assert.equal(resolveOptions({ sampling }).participants, 4);
  assert.equal(resolveOptions({ sampling, participants: 3 }).participants, 3);
  assert.equal(resolveOptions({ sampling, algorithm: "single" }).participants, null);
  assert.equal(
    resolveOptions({ sampling: "dirichlet:1e0", participants: 3 }).sampling,
    "dirichlet:1",
  );
});

Deno.test("a single rank is what the algorithm of that name gets", () => {
  const options = resolveOptions({ algorithm: "single" });
  assert.equal(options.ranks, 1);
  assert.equal(algorithmOf(options).name, "single");
  for (const algorithm of ["celgc", "naive-parallel", "local-sgd"]) {
    assert.equal(algorithmOf(resolveOptions({ algorithm })).name, algorithm);
  }
});

Deno.test("what is given and changes nothing is refused or said", () => {
  const said = (given: Partial<Options>) => notesOn(resolveOptions(given), given);
  const notes: [Partial<Options>, RegExp][] = [
    [
      { algorithm: "naive-parallel", interval: 8 },
      /^--interval 8 has no effect with --algorithm n/,
    ],
    [
      { algorithm: "local-sgd", clip: 0.5 },
      /^--clip 0\.5 has no effect with --algorithm local-sgd$/,
    ],
    [{ algorithm: "episode", clipBy: "max" }, /^--clip-by max has no effect with/],
    [{ interval: 8, maxSteps: 7 }, /^--interval 8 is longer than the run of --max-steps 7/],
    [{ threads: 250 }, /^--threads 250 are more than this machine's \d+ cores$/],
    [
      { algorithm: "single", preset: "ptb-partial-participation", data: "dir" },
      /^--participants 6 of --preset ptb-partial-participation has no effect/,
    ],
  ];
  for (const [given, message] of notes) {
    assert.equal(said(given).length, 1, JSON.stringify(given));
    assert.match(said(given)[0], message);
  }
  assert.deepEqual(said({}), []);
  assert.deepEqual(said({ maxSteps: 1 }), []);
  assert.deepEqual(said({ algorithm: "naive-parallel", interval: 4 }), []);
  const refused: [Partial<Options>, RegExp][] = [
    [{ bptt: 20 }, /^--bptt 20 has no effect with --task generated-images: leave it out$/],
    [
      { task: "generated-text", model: "x.onnx", hidden: 9 },
      /^--hidden 9 .* --model x\.onnx: leave/,
    ],
  ];
  for (const [given, message] of refused) {
    assert.throws(() => resolveOptions(given), { name: "OptionError", message });
  }
});

Deno.test("a run's resolved options resolve to themselves", () => {
  for (
    const given of [
      {},
      { algorithm: "single" },
      { task: "generated-text" },
      { task: "generated-text", model: "x.onnx" },
      { preset: "ptb-partial-participation", data: "dir", scale: 0.1 },
      { algorithm: "naive-parallel", interval: 9 },
      { syncEvery: 2 },
    ]
  ) {
    const options = resolveOptions(given);
    assert.deepEqual(resolveOptions({ ...options }), options, JSON.stringify(given));
  }
});
