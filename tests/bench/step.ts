/**
 * Times the training step of ResNets on each device, beside PyTorch where it is installed, and prints
 * tables. All contenders take turns step by step, so that a busy machine is busy for all.
 *
 *     deno task bench step [--depth 20,56] [--batch 16,64] [--steps 10] [--device cpu,wasm,webgpu]
 *                          [--profile]
 *
 * Images per second come from the median step. "First step" is the time from the start of the process,
 * with all packages cached, to the end of its first step. With `--profile` the runtime's own times by
 * operator follow, from a run of their own.
 *
 * @module
 */

import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { resolveDevice } from "../../runtime/devices/open.ts";

const PYTHON = "/usr/bin/python3";
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

const { values: options } = parseArgs({
  options: {
    depth: { type: "string", default: "20,56" },
    batch: { type: "string", default: "16,64" },
    steps: { type: "string", default: "10" },
    // A software GPU is for tests; its speed says nothing.
    device: {
      type: "string",
      default: await resolveDevice("auto") === "webgpu" ? "cpu,wasm,webgpu" : "cpu,wasm",
    },
    profile: { type: "boolean", default: false },
  },
});

interface Step {
  readonly milliseconds: number;
  readonly megabytes: number;
}

/** A process that makes a step when it is told to. */
class Contender {
  readonly steps: Step[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;
  #start = performance.now();
  #description = "";
  #nodes = NaN;
  #firstStep = NaN;

  constructor(command: string, args: string[]) {
    this.#child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped" }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    const input = Readable.fromWeb(this.#child.stdout as never);
    this.#lines = createInterface({ input })[Symbol.asyncIterator]();
  }

  async #line<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`a contender ended: ${this.#description}`);
    return JSON.parse(value);
  }

  /** Waits for the first step. */
  async begin(): Promise<void> {
    const { description, nodes } = await this.#line<{ description: string; nodes?: number }>();
    this.#firstStep = (performance.now() - this.#start) / 1000;
    this.#description = description;
    this.#nodes = nodes ?? NaN;
  }

  /** One step; kept unless it is to warm up. */
  async step(keep: boolean): Promise<void> {
    await this.#writer.write(new TextEncoder().encode("\n"));
    const step = await this.#line<Step>();
    if (keep) this.steps.push(step);
  }

  /** Ends the process and returns what else it prints. */
  async end(): Promise<string> {
    await this.#writer.close();
    const { value } = await this.#lines.next();
    await this.#child.status;
    return value ?? "";
  }

  get milliseconds(): number {
    const sorted = this.steps.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  /** A line of the table. */
  row(batch: number): string {
    const times = this.steps.map(({ milliseconds }) => milliseconds);
    const cells = [
      this.#description.padEnd(46),
      (batch / this.milliseconds * 1000).toFixed(1).padStart(8),
      this.milliseconds.toFixed(0).padStart(7),
      `${Math.min(...times).toFixed(0)}–${Math.max(...times).toFixed(0)}`.padStart(11),
      this.#firstStep.toFixed(1).padStart(9),
      this.steps.at(-1)!.megabytes.toFixed(0).padStart(7),
      Number.isNaN(this.#nodes) ? "" : String(this.#nodes).padStart(6),
    ];
    return cells.join(" ").trimEnd();
  }
}

const program = here("./step_program.ts");
const deno = (kind: string, depth: number, batch: number, ...rest: string[]) =>
  new Contender(Deno.execPath(), [
    ...["run", "-A", "--no-check", "--quiet", program],
    ...[kind, String(depth), String(batch), ...rest],
  ]);

async function hasTorch(): Promise<boolean> {
  const probe = new Deno.Command(PYTHON, { args: ["-c", "import torch"], stderr: "null" });
  return (await probe.output().catch(() => undefined))?.success ?? false;
}

const numbers = (list: string) => list.split(",").map(Number);
const torch = await hasTorch(), kinds = options.device.split(","), steps = Number(options.steps);
if (!torch) console.log("PyTorch is not installed: Debian has it as python3-torch");

for (const depth of numbers(options.depth)) {
  for (const batch of numbers(options.batch)) {
    console.log(`\nResNet-${depth}, batch ${batch}`);
    console.log(
      `${"".padEnd(46)} images/s ms/step   (min–max) 1st step s    MB  nodes`,
    );
    const ours: Contender[] = [], theirs: Contender[] = [];
    // One after another: the first step of each is timed alone.
    for (const kind of kinds) {
      const contender = deno(kind, depth, batch);
      await contender.begin();
      ours.push(contender);
    }
    for (const layout of torch ? ["contiguous", "channels-last"] : []) {
      const args = [here("./step_torch.py"), String(depth), String(batch), layout];
      const contender = new Contender(PYTHON, args);
      await contender.begin();
      theirs.push(contender);
    }
    const all = [...ours, ...theirs];
    for (let step = -1; step < steps; step++) {
      for (const contender of all) await contender.step(step >= 0);
    }
    for (const contender of all) {
      console.log(contender.row(batch));
      await contender.end();
    }
    if (theirs.length > 0) {
      const best = Math.min(...theirs.map(({ milliseconds }) => milliseconds));
      const ratios = ours.map(({ milliseconds }, i) =>
        `${kinds[i]} ${(best / milliseconds).toFixed(2)}`
      );
      console.log(`times as fast as PyTorch at its better layout: ${ratios.join(", ")}`);
    }
    if (options.profile) { for (const kind of kinds) await printProfile(kind, depth, batch); }
  }
}

/** Milliseconds by operator, of an average step. */
async function printProfile(kind: string, depth: number, batch: number): Promise<void> {
  const contender = deno(kind, depth, batch, "profile");
  await contender.begin();
  for (let step = 0; step < 4; step++) await contender.step(false);
  const operators: Record<string, { milliseconds: number; nodes: number }> = JSON.parse(
    await contender.end(),
  );
  console.log(`${kind}, ms by operator (how often)`);
  const rows = Object.entries(operators).sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
  for (const [operator, { milliseconds, nodes }] of rows.slice(0, 15)) {
    const count = Math.round(nodes);
    console.log(`  ${operator.padEnd(24)} ${milliseconds.toFixed(1).padStart(8)}  (${count})`);
  }
}
