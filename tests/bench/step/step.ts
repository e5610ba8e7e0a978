/**
 * `deno task bench step`: times training steps on each device, beside PyTorch and jax-js, and prints tables.
 *
 * All contenders take turns step by step, so that a busy machine is busy for all; each has one thread.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadTables } from "../../../deps.ts";
import { resolveDevice } from "../../../runtime/devices/open.ts";
import { Contender } from "./contender.ts";

const HELP = `deno task bench step [options]

  --model M,…      resnet8, resnet20, … resnet110 on images of 3 × 32 × 32, awd-lstm at Penn
                   Treebank's size, gpt-nano on 65 characters (default
                   resnet20,resnet56,awd-lstm,gpt-nano)
  --batch N,…      samples a step (default 16,64 for images, 3,10 for awd-lstm, 12 for gpt-nano)
  --steps N        steps measured of each contender (default 10)
  --device D,…     cpu, wasm, webgpu (default cpu,wasm, and webgpu where there is a GPU; a software
                   adapter has to be asked for, and its speed says nothing)
  --rivals R,…     torch, jax, none (default torch,jax, each where it can be had)
  --jax-steps N    steps measured of jax-js, which takes many times longer (default 1)
  --jax-batch N    the largest batch of images jax-js is given (default 16)
  --no-profile     leaves out the milliseconds by operator

samples/s and ms/step are those of the median step; CPU ms is processor time, which other load
changes less. "1st step" is from the start of the process, packages cached, to the end of its first
step; MB is the most memory the process has had. PyTorch takes images in two layouts, of which the
better one counts. jax-js is given the whole step of the ResNets, batch norm written out in its
primitives, and no texts: it has no loop over time.
`;

const PYTHON = "/usr/bin/python3";
/** Tokens in a window of each network that reads text, as the programs have it. */
const LENGTH: Record<string, number> = { "awd-lstm": 70, "gpt-nano": 256 };
/** gpt-nano as its program takes it: context, vocabulary, layers, heads, width. */
const NANO = [256, 65, 6, 6, 384];
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

const { values: options } = parseArgs({
  allowNegative: true,
  options: {
    model: { type: "string", default: "resnet20,resnet56,awd-lstm,gpt-nano" },
    batch: { type: "string" },
    steps: { type: "string", default: "10" },
    device: { type: "string" },
    rivals: { type: "string", default: "torch,jax" },
    "jax-steps": { type: "string", default: "1" },
    "jax-batch": { type: "string", default: "16" },
    profile: { type: "boolean", default: true },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(HELP.trimEnd());
  Deno.exit();
}

const denoArgs = ["run", "-A", "--no-check", "--quiet"];
const deno = (program: string, ...args: (string | number)[]) =>
  new Contender(Deno.execPath(), [...denoArgs, here(program), ...args.map(String)]);
const python = (program: string, ...args: (string | number)[]) =>
  new Contender(PYTHON, [here(program), ...args.map(String)]);

async function succeeds(command: string, args: string[]): Promise<boolean> {
  const probe = new Deno.Command(command, { args, stdout: "null", stderr: "null" });
  return (await probe.output().catch(() => undefined))?.success ?? false;
}

const list = (text: string) => text.split(",");
const rivals = new Set(list(options.rivals));
if (rivals.has("torch") && !await succeeds(PYTHON, ["-c", "import torch"])) {
  console.log("without PyTorch, which is not installed: Debian has it as python3-torch");
  rivals.delete("torch");
}
if (rivals.has("jax") && !await succeeds(Deno.execPath(), [...denoArgs, here("jax.ts")])) {
  console.log("without jax-js: npm's @jax-js/jax cannot be had");
  rivals.delete("jax");
}
const automatic = async () =>
  await resolveDevice("auto") === "webgpu" ? "cpu,wasm,webgpu" : "cpu,wasm";
const kinds = list(options.device ?? await automatic());
const makeTable = await loadTables();

for (const model of list(options.model)) {
  const usual = { "awd-lstm": "3,10", "gpt-nano": "12" }[model] ?? "16,64";
  for (const batch of list(options.batch ?? usual).map(Number)) {
    await compare(model, batch, batch * (LENGTH[model] ?? 1));
    if (options.profile) { for (const kind of kinds) await printProfile(kind, model, batch); }
  }
}

async function compare(model: string, batch: number, samples: number): Promise<void> {
  const text = model in LENGTH;
  const begin = async (contender: Contender) => {
    await contender.begin(); // one after another: the first step of each is timed alone
    return contender;
  };
  const ours: Contender[] = [], torch: Contender[] = [], jax: Contender[] = [];
  for (const kind of kinds) ours.push(await begin(deno("program.ts", kind, model, batch)));
  if (rivals.has("torch")) {
    for (const layout of text ? [] : ["contiguous", "channels-last"]) {
      torch.push(
        await begin(python("../torch/resnet_step.py", model.slice("resnet".length), batch, layout)),
      );
    }
    if (model === "awd-lstm") {
      torch.push(await begin(python("../torch/awd_lstm_step.py", batch, LENGTH[model], 10_000)));
    }
    if (model === "gpt-nano") {
      torch.push(await begin(python("../torch/gpt_step.py", batch, ...NANO)));
    }
  }
  if (rivals.has("jax") && !text && batch <= Number(options["jax-batch"])) {
    for (const kind of kinds.filter((kind) => kind !== "cpu")) {
      jax.push(await begin(deno("jax.ts", kind, model.slice("resnet".length), batch)));
    }
  }
  const steps = Number(options.steps), jaxSteps = Number(options["jax-steps"]);
  for (let step = -1; step < steps; step++) {
    for (const contender of [...ours, ...torch]) await contender.step(step >= 0);
    for (const contender of step < 0 || step >= jaxSteps ? [] : jax) await contender.step(true);
  }
  const unit = text ? "tokens/s" : "images/s";
  const table = makeTableOf([
    [
      `${model}, batch ${batch}`,
      unit,
      "ms/step",
      "min–max",
      "CPU ms",
      "1st step, s",
      "MB",
      "nodes",
    ],
    ...[...ours, ...torch, ...jax].map((contender) => contender.row(samples)),
  ]);
  console.log(`\n${table}`);
  for (const contender of [...ours, ...torch, ...jax]) await contender.end();
  if (torch.length > 0) {
    const least = (of: (contender: Contender) => number) => Math.min(...torch.map(of));
    const wall = least(({ milliseconds }) => milliseconds);
    const cpu = least(({ cpuMilliseconds }) => cpuMilliseconds);
    const ratios = ours.map(({ milliseconds, cpuMilliseconds }, i) =>
      `${kinds[i]} ${(wall / milliseconds).toFixed(2)} (processor time ${
        (cpu / cpuMilliseconds).toFixed(2)
      })`
    );
    console.log(`times as fast as PyTorch: ${ratios.join(", ")}`);
  }
}

/** A table without lines. */
function makeTableOf(rows: string[][]): string {
  const none = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "", left: "", right: "" };
  const edges = { top: "", "top-mid": "", "top-left": "", "top-right": "" };
  const bottom = { bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" };
  const table = new makeTable({
    chars: { ...none, ...edges, ...bottom, middle: "  " },
    colAligns: rows[0].map((_, i) => i === 0 ? "left" : "right"),
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push(...rows);
  return table.toString();
}

/** Milliseconds by operator, of an average step. */
async function printProfile(kind: string, model: string, batch: number): Promise<void> {
  const contender = deno("program.ts", kind, model, batch, "profile");
  await contender.begin();
  for (let step = 0; step < 4; step++) await contender.step(false);
  const operators: Record<string, { milliseconds: number; nodes: number }> = JSON.parse(
    await contender.end(),
  );
  const rows = Object.entries(operators).sort(([, a], [, b]) => b.milliseconds - a.milliseconds)
    .slice(0, 15)
    .map(([name, { milliseconds, nodes }]) => [name, milliseconds.toFixed(1), nodes.toFixed(0)]);
  console.log(`\n${makeTableOf([[`${kind}, by operator`, "ms/step", "runs"], ...rows])}`);
  // A Scan's time is its body's, which is listed as well.
}
