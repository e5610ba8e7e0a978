/**
 * Times allreduce between two hosts, told apart by name, behind links that one connection does not fill.
 *
 *     deno task bench connections [--link 1gbit,50ms,window=4MiB] [--ranks 1,4] [--connections 1,2,4,8]
 */

import { parseArgs } from "node:util";
import { launchProgram } from "../../runtime/launcher/launch.ts";

const HELP = `deno task bench connections [options]

  --link L           as for launch, of each host (default 1gbit,50ms,window=4MiB)
  --ranks N,…        ranks on each of the two hosts (default 1,4)
  --connections N,…  between two ranks (default 1,2,4,8)
  --floats N         length of the buffer (default 6050000: 24.2 MB)
  --calls N          how many are timed (default 3)

Seconds of one allreduce (sum of float32, in place) on rank 0, the median, after a first that is not
timed; and what rank 0 sent, in MB. The last line says whether all results had the same bits.`;

const PROGRAM = new URL("../runtime/programs/hosts/several_hosts.ts", import.meta.url);

interface Job {
  readonly ranks: number;
  readonly connections: number;
  readonly link: string;
  readonly floats: string;
  readonly calls: string;
}

/** Runs one job, and returns what its ranks printed. */
async function run({ ranks, connections, link, floats, calls }: Job) {
  const lines: string[] = [];
  const { code, failure } = await launchProgram({
    ranks: 2 * ranks,
    program: PROGRAM,
    args: ["A".repeat(ranks) + "B".repeat(ranks), "two-level", floats, calls],
    allow: ["env", "ffi"],
    link,
    connections,
    quiet: true,
    onOutput: (rank, line, stream) => {
      if (stream === "stdout") lines[rank] = line;
    },
  });
  if (code !== 0) throw new Error(failure?.message ?? `exit code ${code}`);
  return lines.map((line) => JSON.parse(line) as { hash: string; sent: number; ms: number[] });
}

/** Runs the benchmark with the arguments of its command line. */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      link: { type: "string", default: "1gbit,50ms,window=4MiB" },
      ranks: { type: "string", default: "1,4" },
      connections: { type: "string", default: "1,2,4,8" },
      floats: { type: "string", default: "6050000" },
      calls: { type: "string", default: "3" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const { link, floats, calls } = values, hashes = new Map<number, Set<string>>();
  console.log(`two hosts behind ${link}, ${floats} floats`);
  console.log("ranks a host  connections  seconds  MB sent by rank 0");
  for (const ranks of values.ranks.split(",").map(Number)) {
    const found = new Set<string>();
    hashes.set(ranks, found);
    for (const connections of values.connections.split(",").map(Number)) {
      const outputs = await run({ ranks, connections, link, floats, calls });
      for (const { hash } of outputs) found.add(hash);
      const { ms, sent } = outputs[0];
      const cells = [
        ranks,
        connections,
        (ms[ms.length >> 1] / 1e3).toFixed(2),
        (sent / 1e6).toFixed(2),
      ];
      console.log(cells.map((cell, i) => String(cell).padStart([12, 11, 7, 17][i])).join("  "));
    }
  }
  const same = [...hashes.values()].every(({ size }) => size === 1);
  console.log(same ? "the bits are the same over any number of connections" : "THE BITS DIFFER");
  if (!same) Deno.exitCode = 1;
}

if (import.meta.main) await main(Deno.args);
