/**
 * Times allreduce beside PyTorch's gloo and Open MPI over TCP, where they are installed, and prints
 * tables. All contenders take turns within one run, so that a busy machine is busy for all.
 *
 *     deno task bench collectives [--ranks 2,4,8] [--rounds 5] [--floats 1,855770] [--transport mpi]
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launchProgram } from "../../runtime/launcher/launch.ts";
import { encodeSizes, type Size, SIZES } from "./_collectives_sizes.ts";

const HELP = `deno task bench collectives [options]

  --ranks N,…      numbers of ranks (default 2,4,8)
  --floats N,…     lengths of the buffer, of ${SIZES.map(({ floats }) => floats).join(", ")}
                   (default: all of them)
  --transport mpi  this runtime over the MPI libraries that are here as well
  --rounds N       how often all contenders take their turn (default 5)

Times are milliseconds of one allreduce (sum of float32, in place), the largest over the ranks, the
median of 9 samples a round (5 of the longest buffer); in brackets times the first column. "celgc" has
the ffi permission, so that ranks share memory; "sockets" and "TCP" do without. gloo comes with
Debian's python3-torch, Open MPI with openmpi-bin and libopenmpi-dev.`;

/** Something that sums, as a job of its own. */
interface Contender {
  readonly name: string;
  /** Runs a job and returns what rank 0 printed. */
  run(ranks: number, sizes: string): Promise<string>;
}

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** This runtime: as it comes, and restricted to what works between hosts. */
function ours(name: string, transport: "auto" | "tcp", allow: string[]): Contender {
  return {
    name,
    async run(ranks, sizes) {
      const lines: string[] = [];
      const program = new URL("./collectives_program.ts", import.meta.url);
      const { failure } = await launchProgram({
        ranks,
        program,
        transport,
        allow,
        args: [sizes],
        quiet: true,
        onOutput: (rank, line, stream) => {
          if (rank === 0 && stream === "stdout") lines.push(line);
        },
      });
      if (failure) throw new Error(failure.message);
      return lines.join("\n");
    },
  };
}

async function output(command: string, args: string[], env?: Record<string, string>) {
  const { stdout, stderr, code } = await new Deno.Command(command, { args, env, stdin: "null" })
    .output();
  const [said, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (code === 0) return said;
  throw new Error(`${command} ${args.join(" ")} ended with exit code ${code}: ${errors.trimEnd()}`);
}

const PYTHON = "/usr/bin/python3";

/** @param folder where the ranks of each job find each other: a port that is free now may be another's by then */
function gloo(folder: string): Contender {
  let jobs = 0;
  return {
    name: "gloo",
    async run(ranks, sizes) {
      const meeting = `${folder}/gloo-${jobs++}`;
      const outputs = Array.from(
        { length: ranks },
        (_, rank) =>
          output(PYTHON, [here("./collectives_gloo.py"), sizes, meeting], {
            RANK: String(rank),
            WORLD_SIZE: String(ranks),
            OMP_NUM_THREADS: "1",
          }),
      );
      return (await Promise.all(outputs))[0];
    },
  };
}

async function openMpi(folder: string): Promise<Contender> {
  const program = `${folder}/collectives_mpi`;
  await output("mpicc", ["-O3", "-o", program, here("./collectives_mpi.c")]);
  const flags = ["--mca", "btl", "tcp,self", "--oversubscribe", "--allow-run-as-root"];
  return {
    name: "Open MPI, TCP",
    run: (ranks, sizes) => output("mpirun", [...flags, "-n", String(ranks), program, sizes]),
  };
}

const OPEN_MPI_FLAGS = ["--oversubscribe", "--allow-run-as-root"];

/** This runtime over a real MPI library, under its own launcher. */
async function overMpi(name: string, mpirun: string, flags: string[]): Promise<Contender[]> {
  try {
    await output(mpirun, ["--version"]);
  } catch {
    console.log(`${name} is not here: ${mpirun} does not start`);
    return [];
  }
  const program = ["run", "-A", "--no-check", here("./collectives_program.ts")];
  const env = { NO_COLOR: "1", CELGC_TRANSPORT: "mpi" };
  return [{
    name: `celgc, ${name}`,
    run: (ranks, sizes) =>
      output(mpirun, [...flags, "-n", String(ranks), Deno.execPath(), ...program, sizes], env),
  }];
}

/** Those of the others that are here; says which are not. */
async function others(folder: string): Promise<Contender[]> {
  const found: Contender[] = [];
  try {
    await output(PYTHON, ["-c", "import torch.distributed as d; assert d.is_gloo_available()"]);
    found.push(gloo(folder));
  } catch {
    console.log("gloo is not here: it comes with Debian's python3-torch");
  }
  try {
    found.push(await openMpi(folder));
  } catch {
    console.log("Open MPI is not here: it comes with Debian's openmpi-bin and libopenmpi-dev");
  }
  return found;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function table(ranks: number, sizes: readonly Size[], times: Map<string, Map<number, number[]>>) {
  const names = [...times.keys()], mine = names[0];
  const width = Math.max(...names.map((name) => name.length), 14);
  const cell = (text: string) => text.padStart(width);
  console.log(`\n${ranks} ranks: ms for one allreduce, median (times the first column's)`);
  console.log(["floats".padStart(10), ...names.map(cell)].join("  "));
  for (const { floats } of sizes) {
    const base = median(times.get(mine)!.get(floats)!);
    const cells = names.map((name) => {
      const ms = median(times.get(name)!.get(floats)!);
      const shown = ms.toFixed(ms < 10 ? 3 : 1);
      return cell(name === mine ? shown : `${shown} (${(ms / base).toFixed(1)})`);
    });
    console.log([String(floats).padStart(10), ...cells].join("  "));
  }
}

/** Runs the benchmark with the arguments of its command line. */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      ranks: { type: "string", default: "2,4,8" },
      rounds: { type: "string", default: "5" },
      floats: { type: "string" },
      transport: { type: "string", default: "auto" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const known = SIZES.map(({ floats }) => floats);
  const wanted = values.floats === undefined ? known : numbers("--floats", values.floats);
  const ranks = numbers("--ranks", values.ranks), [rounds] = numbers("--rounds", values.rounds);
  const odd = wanted.find((floats) => !known.includes(floats));
  if (odd !== undefined) {
    throw new RangeError(`--floats must be of ${known.join(", ")}, not ${odd}`);
  }
  if (!["auto", "mpi"].includes(values.transport)) {
    throw new RangeError(`--transport must be auto or mpi, not ${values.transport}`);
  }
  const mpi = values.transport === "mpi";
  const sizes = SIZES.filter(({ floats }) => wanted.includes(floats));
  const folder = await Deno.makeTempDir();
  try {
    const contenders = [
      ours("celgc", "auto", ["ffi"]),
      ours("celgc, sockets", "auto", []),
      ours("celgc, TCP", "tcp", []),
      ...mpi ? await overMpi("Open MPI", "mpirun.openmpi", OPEN_MPI_FLAGS) : [],
      ...mpi ? await overMpi("MPICH", "mpirun.mpich", []) : [],
      ...await others(folder),
    ];
    for (const size of ranks) {
      const times = new Map(contenders.map(({ name }) => [name, new Map<number, number[]>()]));
      for (let round = 0; round < rounds; round++) {
        for (const { name, run } of contenders) {
          for (const line of (await run(size, encodeSizes(sizes))).trim().split("\n")) {
            const { floats, times: ms } = JSON.parse(line) as { floats: number; times: number[] };
            const all = times.get(name)!;
            all.set(floats, [...all.get(floats) ?? [], ...ms]);
          }
        }
      }
      table(size, sizes, times);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Whole numbers from 1, separated by commas. */
function numbers(flag: string, text: string): number[] {
  if (/^[1-9]\d*(,[1-9]\d*)*$/.test(text)) return text.split(",").map(Number);
  throw new RangeError(`${flag} must be whole numbers from 1, separated by commas, not "${text}"`);
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    // parseArgs and the checks above say in one line what is wrong.
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
