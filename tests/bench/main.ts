/**
 * `deno task bench NAME [options]`: runs one of the benchmarks, which print tables.
 *
 * @module
 */

/** The benchmarks: what each measures, and its program beside this file. */
const BENCHES: Record<string, { about: string; program: string }> = {
  attention: {
    about: "causal attention and its gradient, beside plain operators",
    program: "./attention.ts",
  },
  checkpoint: {
    about: "a checkpoint that is written while training goes on, against steps without",
    program: "./reliability/checkpoint.ts",
  },
  collectives: {
    about: "allreduce beside gloo and Open MPI, where they are installed",
    program: "./collectives.ts",
  },
  compression: {
    about: "the codecs of compressed reductions, on one core",
    program: "./compression.ts",
  },
  connections: {
    about: "allreduce between two far hosts, over one connection a pair of ranks and several",
    program: "./connections.ts",
  },
  gateway: {
    about: "messages between hosts with one port each, and through the relay",
    program: "./gateway/ways.ts",
  },
  gpu: {
    about: "a card: steps, ranks that share it, its ceilings, PyTorch on CUDA; at most 8 minutes",
    program: "./gpu/gpu.ts",
  },
  plan: {
    about: "runs behind a slow link, beside what the planner predicts for them",
    program: "./plan.ts",
  },
  scale: {
    about: "many ranks on one machine: until they have met, and what each takes",
    program: "./reliability/scale.ts",
  },
  start: {
    about: "from a launch to its ranks' first step",
    program: "./start.ts",
  },
  step: {
    about: "training steps on each device, beside PyTorch and jax-js where they can be had",
    program: "./step/step.ts",
  },
};

const [name, ...args] = Deno.args;
const bench = Object.hasOwn(BENCHES, name ?? "") ? BENCHES[name] : null;
if (!bench) {
  const names = Object.entries(BENCHES).map(([each, { about }]) => `  ${each.padEnd(16)}${about}`);
  const help = `deno task bench NAME [options]\n${
    names.join("\n")
  }\nNAME --help shows its options.`;
  if (name === "--help") console.log(help);
  else console.error(help);
  Deno.exit(name === "--help" ? 0 : 2);
}
const program = new URL(bench.program, import.meta.url).href;
const child = new Deno.Command(Deno.execPath(), { args: ["run", "-A", program, ...args] }).spawn();
// Whoever ends this ends the benchmark, which may have something to say yet.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  if (Deno.build.os === "windows" && signal === "SIGTERM") continue;
  Deno.addSignalListener(signal, () => {
    try {
      child.kill(signal);
    } catch {
      // it has just ended
    }
  });
}
Deno.exit((await child.status).code);
