/**
 * celgc: an MPI-style runtime for Deno, and on it a trainer of ONNX graphs for communication-efficient
 * distributed learning.
 *
 * A program that calls {@linkcode init} is a rank; {@linkcode launchProgram} starts it N times, and
 * {@linkcode launch} starts the project's own trainer. The pieces of the trainer (graphs that train,
 * optimizers, data sets) stand for themselves as well.
 *
 * @example Train on two ranks
 * ```ts ignore
 * import { launch } from "./mod.ts";
 * const run = await launch({ ranks: 2, interval: 4, maxSteps: 100 });
 * console.log(run.summary.testAccuracy);
 * ```
 *
 * @example A rank of any program
 * ```ts
 * import { init } from "./mod.ts";
 * await using comm = await init();
 * const sum = Float32Array.of(comm.rank);
 * await comm.allreduce(sum, "sum");
 * ```
 *
 * @module
 */

// The runtime: ranks, messages, devices.
export * from "./runtime/mod.ts";

// Graphs that train.
export * from "./models/mod.ts";

// Optimizers.
export * from "./optimizers/mod.ts";

// Data sets.
export * from "./tasks/data/mod.ts";

// The trainer.
export * from "./tasks/mod.ts";
