/**
 * Finished cells of a record as a sweep leaves them, with logs that are drawn and not learnt: pages can be made of them
 * in a moment.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { type Cell, planCells } from "../../../tasks/sweep/cells.ts";
import { type RunChoice, type SweepRecord, sweepsOf } from "../../../tasks/reproduce/sweeps.ts";

/** What a cell's run came to. */
export interface DrawnRun {
  /** Loss on training data and score on what is evaluated, at the end. */
  readonly loss: number;
  readonly score: number;
  /** Every how many steps one is clipped. */
  readonly clipEvery: number;
  readonly commit: string;
}

const STEPS = 24, WEIGHTS = 1000;

/** Writes every cell of a seed for which `draw` says what it came to. */
export async function writeFinished(
  record: SweepRecord,
  seed: number,
  folder: string,
  draw: (cell: Cell) => DrawnRun | null,
  choice: RunChoice = { data: "data", scale: 1 },
): Promise<void> {
  for (const cell of sweepsOf(record, seed, choice).flatMap((swept) => planCells(swept).cells)) {
    const run = draw(cell);
    if (run !== null) await writeCell(join(folder, record.name, `${seed}_${cell.name}`), cell, run);
  }
}

async function writeCell(path: string, cell: Cell, run: DrawnRun): Promise<void> {
  await Deno.mkdir(path, { recursive: true });
  const config = {
    options: cell.options,
    plan: { parameters: WEIGHTS, trainSamples: 10_000, testSamples: 2000 },
    commit: run.commit,
    versions: { celgc: "0.1.0", deno: "2.9.6", onnxruntime: "1.30.0" },
  };
  const weights = new Uint8Array(8 + 2 + 4 * WEIGHTS);
  weights[0] = 2;
  weights.set(new TextEncoder().encode("{}"), 8);
  const files: Record<string, Uint8Array> = {
    "config.json": new TextEncoder().encode(JSON.stringify(config)),
    "metrics.jsonl": new TextEncoder().encode(logOf(cell, run)),
    "model.safetensors": weights,
  };
  const hashes: Record<string, string> = {};
  for (const [name, bytes] of Object.entries(files)) {
    await Deno.writeFile(join(path, name), bytes);
    hashes[name] = createHash("sha256").update(bytes).digest("hex");
  }
  const { name, hash, at } = cell;
  const written = { format: 1, name, hash, at, status: "finished", files: hashes };
  await Deno.writeTextFile(join(path, "cell.json"), JSON.stringify(written));
}

function logOf({ options }: Cell, { loss, score, clipEvery }: DrawnRun): string {
  const { ranks, algorithm, interval, epochs, task, clip } = options;
  const every = algorithm === "celgc" ? Number(interval) : 1;
  const lines: object[] = [];
  const evaluate = (place: object, share: number) => {
    const right = task === "cifar10" ? { accuracy: score * share } : { perplexity: score / share };
    const split = task === "cifar10" ? {} : { split: "valid" };
    const common = { type: "eval", rank: 0, ...place, count: 10 };
    lines.push({ ...common, ...split, loss: loss / share, ...right });
    lines.push({ ...common, split: "train", loss: loss / share });
  };
  for (let step = 1; step <= STEPS; step++) {
    const round = ranks === 1 ? 0 : Math.floor(step / every);
    const share = 0.5 + 0.5 * step / STEPS;
    const place = {
      step,
      iteration: step,
      epoch: epochs * step / STEPS,
      round,
      seconds: step / 10,
      samples: 16 * step,
      bytesSent: round * 8 * WEIGHTS * (algorithm === "naive-parallel" ? 2 : 1),
      bytesReceived: 0,
    };
    for (let rank = 0; rank < ranks; rank++) {
      const clipped = step % clipEvery === 0;
      const times = { stepMs: 100, syncMs: step % every === 0 && ranks > 1 ? 20 : 0 };
      lines.push({
        ...{ type: "step", rank, ...place, loss: loss / share, gradNorm: 2 / share, clipped },
        ...{ lr: 0.3, clip, ...times },
      });
    }
    if (ranks > 1 && step % every === 0) {
      const driftBound = algorithm === "celgc" ? 2 * clip * every : null;
      const drift = algorithm === "celgc" ? 0.4 * clip * every * share : 0;
      const participants = Array.from({ length: ranks }, (_, r) => r);
      lines.push({ type: "round", rank: 0, ...place, syncMs: 20, drift, driftBound, participants });
    }
    if (step % (STEPS / 4) === 0) evaluate(place, share);
  }
  const totals = { trainSeconds: STEPS / 10, totalBytesSent: 0 };
  lines.push({ type: "summary", rank: 0, step: STEPS, ranks, steps: STEPS, ...totals });
  return lines.map((line) => JSON.stringify(line) + "\n").join("");
}
