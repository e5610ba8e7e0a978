/**
 * The parts of `bench gpu`: each a program of its own with a limit of its own, so that whatever hangs costs that
 * part alone. They come in the order of what is to be known first.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { NetworkTask } from "./network.ts";

/** Something to run, whose lines on standard output are measurements. */
export interface Part {
  readonly name: string;
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
  /** Bytes copied on the card, and the edge of the matrices multiplied. */
  readonly bytes: number;
  readonly edge: number;
  /** Python with PyTorch, null for none, and what it computes on. */
  readonly python: string | null;
  readonly torchDevice: "cuda" | "cpu";
  /** Factor of all limits. */
  readonly patience: number;
}

/** A card's sizes, or those at which a software adapter ends in minutes. */
export function choiceOf(small: boolean): Omit<Choice, "python" | "torchDevice"> {
  if (small) {
    const networks = [{ model: "resnet8", batches: [1, 2] }];
    return { networks, ranks: [1, 2], seconds: 0.2, bytes: 1 << 22, edge: 256, patience: 4 };
  }
  const networks = [
    { model: "resnet20", batches: [64, 16, 256] },
    { model: "awd-lstm", batches: [10, 80, 3] },
    { model: "gpt-nano", batches: [12] },
    { model: "resnet56", batches: [64, 16, 256] },
  ];
  return { networks, ranks: [1, 8, 4, 2], seconds: 1, bytes: 1 << 28, edge: 4096, patience: 1 };
}

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const deno = (name: string, limit: number, args: Part["args"]): Part => ({
  name,
  limit,
  command: Deno.execPath(),
  args: (...given) => ["run", "-A", "--no-check", "--quiet", ...args(...given)],
});

/** Every part of the choice, in order. */
export function partsOf(choice: Choice): Part[] {
  const { networks, seconds, patience } = choice;
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
      (model === "awd-lstm" ? 60 : 40) * patience,
      (began, before) =>
        networkArgs({
          device: "webgpu",
          model,
          batch,
          began,
          seconds,
          losses: 5,
          readback: whole ? [8, 1, 32] : [8],
          plain: whole,
          profile: whole,
          threads: 1,
          ...choice && { choice },
          memoryBefore: before,
        }),
    );
  // What of the engine could be chosen otherwise: for images, and for what has more and smaller kernels.
  const choices = [
    ...firstOf.slice(0, 2).map((each) => ours(each, false, "operators alone")),
    ...firstOf.slice(0, 2).map((each) => ours(each, false, "jspi")),
    ...firstOf.slice(0, 1).map((each) => ours(each, false, "NCHW")),
    ...firstOf.slice(0, 1).map(({ model, batch }) =>
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
  // The losses of the smallest mini-batch are enough to tell a wrong kernel.
  const references = networks.map(({ model, batches }) =>
    deno(`${model} on the CPU`, 40 * patience, (began) =>
      networkArgs({
        device: "cpu",
        model,
        batch: Math.min(...batches),
        began,
        seconds,
        losses: 5,
        readback: [],
        plain: false,
        profile: false,
        threads: Math.min(8, navigator.hardwareConcurrency),
      }))
  );
  const ranks = choice.ranks.map((ranks) =>
    deno(`${ranks} rank${ranks > 1 ? "s" : ""}`, 40 * patience, () => [
      path("../../../tasks/cli/main.ts"),
      ...["launch", "--ranks", String(ranks), "--allow", "all", path("./ranks.ts")],
      ...["webgpu", networks[0].model, String(Math.min(...networks[0].batches)), "16"],
      String(2 * seconds),
    ])
  );
  return [
    ceilings,
    ...torchParts(choice, "ceilings"),
    ...firstOf.map((each) => ours(each, true)),
    ...torchParts(choice, "steps", ["eager", "graph"]),
    ...ranks,
    ...choices,
    ...references,
    ...rest.map((each) => ours(each, false)),
    ...torchParts(choice, "steps", ["eager-nhwc", "graph-nhwc", "graph-tf32"]),
    ...torchParts(choice, "compile", ["compile", "compile-tf32"]),
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
