/**
 * The parts of `bench gpu`: each a program of its own with a limit of its own, so that whatever hangs costs that
 * part alone. They come in the order of what is to be known first: what the card can do; a step of each network;
 * PyTorch's; whether the losses are right; ranks that share the card; choices of the engine; other sizes of the
 * mini-batch; what else PyTorch can do.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { AHEAD } from "./measure.ts";
import type { NetworkTask } from "./network.ts";

/** What computes: parts of one that hangs give way to those of the others. */
export type Engine = "webgpu" | "torch" | "cpu";

/** Something to run, whose lines on standard output are measurements. */
export interface Part {
  readonly name: string;
  readonly engine: Engine;
  /** Seconds after which it is ended; what it has said by then counts. */
  readonly limit: number;
  readonly command: string;
  /** Made when the part begins, with the time at which it does. */
  args(began: number, memoryBefore?: number): readonly string[];
}

/** A network and the sizes of its mini-batches, in the order of what is to be known first. */
export interface Network {
  readonly model: string;
  readonly batches: readonly number[];
}

/** What the parts are made of. */
export interface Choice {
  readonly networks: readonly Network[];
  /** Ranks that share the card. */
  readonly ranks: readonly number[];
  /** How long each way to compute a step is timed, in seconds. */
  readonly seconds: number;
  /** Steps between two fetches of their numbers. */
  readonly readback: readonly number[];
  /** Bytes copied on the card, and the edge of the matrices multiplied. */
  readonly bytes: number;
  readonly edge: number;
  /** Python with PyTorch, null for none, and what it computes on. */
  readonly python: string | null;
  readonly torchDevice: "cuda" | "cpu";
  /** Factor of all limits. */
  readonly patience: number;
}

/** A card's sizes, or those at which a software adapter ends in minutes, of the same graphs' making. */
export function choiceOf(small: boolean): Omit<Choice, "python" | "torchDevice"> {
  if (small) {
    const networks = [
      { model: "gpt-tiny", batches: [2, 1] },
      { model: "lstm-tiny", batches: [2] },
      { model: "resnet8", batches: [1] },
    ];
    const sizes = { seconds: 0.1, readback: [AHEAD, 1], bytes: 1 << 22, edge: 128, patience: 2 };
    return { networks, ranks: [1, 2], ...sizes };
  }
  const networks = [
    { model: "resnet20", batches: [64, 16, 256] },
    { model: "awd-lstm", batches: [10, 80, 3] },
    { model: "gpt-nano", batches: [12] },
    { model: "resnet56", batches: [64, 16, 256] },
  ];
  const sizes = {
    seconds: 1,
    readback: [AHEAD, 1, 32],
    bytes: 1 << 28,
    edge: 4096,
    patience: 1,
  };
  return { networks, ranks: [1, 8, 4, 2], ...sizes };
}

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const deno = (
  name: string,
  limit: number,
  args: Part["args"],
  engine: Engine = "webgpu",
): Part => ({
  name,
  engine,
  limit,
  command: Deno.execPath(),
  args: (...given) => ["run", "-A", "--no-check", "--quiet", ...args(...given)],
});

/** Every part of the choice, in order. */
export function partsOf(choice: Choice): Part[] {
  const { networks, seconds, readback, patience } = choice;
  const firstOf = networks.map(({ model, batches }) => ({ model, batch: batches[0] }));
  const rest = networks.flatMap(({ model, batches }) =>
    batches.slice(1).map((batch) => ({ model, batch }))
  );
  const ceilings = deno(
    "the card",
    30 * patience,
    () => [path("./ceilings.ts"), choice.bytes, choice.edge, seconds].map(String),
  );
  const ours = (
    { model, batch }: { model: string; batch: number },
    whole: boolean,
    choice?: NetworkTask["choice"],
  ) =>
    deno(
      `${model}, batch ${batch}${choice ? `, ${choice}` : ""}`,
      (whole ? 60 : 40) * patience,
      (began, before) =>
        networkArgs({
          device: "webgpu",
          model,
          batch,
          began,
          seconds,
          losses: 5,
          readback: whole ? readback : [AHEAD],
          plain: whole,
          profile: whole,
          threads: 1,
          ...choice && { choice },
          memoryBefore: before,
        }),
    );
  // What of the engine could be chosen otherwise: for two networks whose kernels differ; what is about images, for one.
  const images = firstOf.filter(({ model }) => model.startsWith("resnet")).slice(0, 1);
  const choices = [
    ...firstOf.slice(0, 2).map((each) => ours(each, false, "operators alone")),
    ...firstOf.slice(0, 2).map((each) => ours(each, false, "jspi")),
    ...images.map((each) => ours(each, false, "NCHW")),
    ...images.map(({ model, batch }) =>
      deno(
        `${model}, batch ${batch}, native`,
        40 * patience,
        () => [path("./native.ts"), model, String(batch), String(seconds), "5"],
      )
    ),
    deno(
      "products in float16",
      30 * patience,
      () => [path("./half.ts"), String(choice.edge), String(seconds)],
    ),
  ];
  const references = firstOf.map(({ model, batch }) =>
    deno(`${model} on the CPU`, 40 * patience, (began) =>
      networkArgs({
        device: "cpu",
        model,
        batch,
        began,
        seconds,
        losses: 5,
        readback: [],
        plain: false,
        profile: false,
        threads: Math.min(8, navigator.hardwareConcurrency),
      }), "cpu")
  );
  const shared = { model: networks[0].model, batch: Math.min(...networks[0].batches) };
  const ranks = choice.ranks.map((ranks) =>
    deno(`${ranks} rank${ranks > 1 ? "s" : ""}`, 50 * patience, () => [
      path("../../../tasks/cli/main.ts"),
      ...["launch", "--ranks", String(ranks), "--allow", "all", path("./ranks.ts")],
      ...["webgpu", shared.model, String(shared.batch), "16", String(2 * seconds)],
    ])
  );
  return [
    ceilings,
    ...torchParts(choice, "ceilings"),
    ...firstOf.map((each) => ours(each, true)),
    ...torchParts(choice, "steps", ["eager", "graph"]),
    ...references,
    ...ranks,
    ...choices,
    ...rest.map((each) => ours(each, false)),
    ...torchParts(choice, "compile", ["compile"]),
    ...torchParts(choice, "steps", ["eager-nhwc", "graph-nhwc", "graph-tf32"]),
    ...torchParts(choice, "compile", ["compile-tf32"]),
  ];
}

function networkArgs(task: NetworkTask): string[] {
  return [path("./network.ts"), JSON.stringify(task)];
}

/** PyTorch's: one process for each network, which loads it once. */
function torchParts(
  { python, torchDevice, networks, seconds, patience }: Choice,
  what: "ceilings" | "steps" | "compile",
  variants: readonly string[] = [],
): Part[] {
  if (python === null) return [];
  const part = (name: string, limit: number, ...args: string[]): Part => ({
    name: `PyTorch: ${name}`,
    engine: "torch",
    limit: limit * patience,
    command: python,
    args:
      () => [path("../torch/gpu.py"), what === "ceilings" ? what : "steps", torchDevice, ...args],
  });
  if (what === "ceilings") return [part("the card", 40, String(seconds))];
  return networks.flatMap(({ model, batches }) => {
    const images = model.startsWith("resnet");
    const fitting = variants.filter((variant) => images || !variant.includes("nhwc"));
    // To compile takes PyTorch as long as everything else: one size of each network.
    const sizes = what === "compile" ? batches.slice(0, 1) : batches;
    const limit = what === "compile" ? 90 : 45;
    return [
      part(
        `${model}, ${fitting.join(", ")}`,
        limit,
        String(seconds),
        model,
        sizes.join(),
        fitting.join(),
      ),
    ];
  });
}
