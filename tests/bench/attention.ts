/**
 * `deno task bench attention`: causal self-attention with its gradient on the CPU, one thread, as networks here
 * have it and composed of plain operators.
 *
 * @module
 */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { differentiate } from "../../models/autodiff.ts";
import { encodeModel } from "../../models/encode.ts";
import { Graph, type Value } from "../../models/graph.ts";
import { Random } from "../../runtime/base/random.ts";
import { openDevice } from "../../runtime/devices/open.ts";

const HELP = `deno task bench attention [options]

  --batch N    samples (default 12)
  --length N   positions (default 256)
  --heads N    heads of 64 features (default 6)
  --steps N    runs of each, taking turns (default 5)

CPU ms is processor time of the median run, which other load changes less; MB is what the memory has
grown by at most since before the first run.
`;

/** Ways to the same result, by what a table calls them. */
const WAYS: Record<string, (g: Graph, qkv: Value, heads: number) => Value> = {
  "celgc.CausalAttention": (g, qkv, heads) => g.op("celgc.CausalAttention", [qkv], { heads }),
  "composed": (g, qkv, heads) => {
    const width = qkv.dims[2] / 3;
    const parts = [0, 1, 2].map((i) => g.slice(qkv, [2], [i * width], [(i + 1) * width]));
    return g.op("Attention", parts, { is_causal: 1, q_num_heads: heads, kv_num_heads: heads });
  },
};

const { values: options } = parseArgs({
  options: {
    batch: { type: "string", default: "12" },
    length: { type: "string", default: "256" },
    heads: { type: "string", default: "6" },
    steps: { type: "string", default: "5" },
    way: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(HELP.trimEnd());
  Deno.exit();
}
const [batch, length, heads] = [options.batch, options.length, options.heads].map(Number);

/** Runs one way for each line on standard input, and prints what that took as a line of JSON. */
async function serve(way: string): Promise<void> {
  const g = new Graph(), qkv = g.input("qkv", "float32", [batch, length, 192 * heads]);
  const y = WAYS[way](g, qkv, heads), weights = g.input("weights", "float32", y.dims);
  const [gradient] = differentiate(g, g.sum(g.mul(y, weights)), [qkv]);
  g.output("norm", g.reduce("ReduceSumSquare", gradient));
  await using device = await openDevice("cpu");
  await using session = await device.compile(encodeModel(g, { target: "cpu" }), {
    optimize: false,
  });
  const random = new Random(1, "attention");
  const feeds = Object.fromEntries([...g.inputs].map(([name, { dims }]) => {
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => random.normal());
    return [name, { type: "float32", dims, data } as const];
  }));
  const before = process.resourceUsage().maxRSS;
  for await (const _line of lines()) {
    const start = process.cpuUsage(), wall = performance.now();
    const { norm } = await session.run(feeds);
    const milliseconds = performance.now() - wall, { user, system } = process.cpuUsage(start);
    const megabytes = (process.resourceUsage().maxRSS - before) / 1024;
    console.log(JSON.stringify([milliseconds, (user + system) / 1000, megabytes, norm.data[0]]));
  }
}

async function* lines(): AsyncGenerator<void> {
  for await (const chunk of Deno.stdin.readable) for (const byte of chunk) if (byte === 10) yield;
}

async function compare(): Promise<void> {
  const sizes = ["--batch", batch, "--length", length, "--heads", heads].map(String);
  const children = Object.keys(WAYS).map((way) => {
    const program = [fileURLToPath(import.meta.url), ...sizes, "--way", way];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", ...program],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    return {
      way,
      writer: child.stdin.getWriter(),
      reader: child.stdout.pipeThrough(new TextDecoderStream()).getReader(),
      found: [] as number[][],
    };
  });
  for (let step = -1; step < Number(options.steps); step++) {
    for (const { writer, reader, found } of children) {
      await writer.write(Uint8Array.of(10));
      const result: number[] = JSON.parse((await reader.read()).value!);
      if (step >= 0) found.push(result);
    }
  }
  const median = (list: number[]) => list.toSorted((a, b) => a - b)[list.length >> 1];
  console.log(`batch ${batch}, length ${length}, ${heads} heads of 64`);
  for (const { way, writer, found } of children) {
    await writer.close();
    const [wall, cpu] = [0, 1].map((i) => median(found.map((each) => each[i])).toFixed(1));
    const [, , megabytes, norm] = found.at(-1)!;
    console.log(
      `${way.padEnd(22)} ${wall} ms, CPU ${cpu} ms, ${megabytes.toFixed(0)} MB (gradient² ${norm})`,
    );
  }
}

await (options.way === undefined ? compare() : serve(options.way));
