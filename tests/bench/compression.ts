/**
 * How fast the codecs of compressed reductions are, on one core: gigabytes of float32 numbers a second.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { codecOf } from "../../runtime/compression/registry.ts";
import { decode, encode, sumEncoded } from "../../runtime/compression/tile.ts";
import { Random } from "../../runtime/base/random.ts";

const COUNT = 4 << 20, RANKS = 8, RUNS = 5;
const CODECS = ["bf16", "fp16", "int8", "int4", "topk:0.01", "topk:0.01:int8", "topk:0.1"];

const random = new Random(1);
const values = Float32Array.from({ length: COUNT }, () => 0.01 * random.normal());
const out = new Float32Array(COUNT), residual = new Float32Array(COUNT);

/** GB/s of the fastest of a few runs over so many arrays of numbers, by processor time. */
function speed(arrays: number, work: () => void): string {
  let least = Infinity;
  for (let run = 0; run <= RUNS; run++) {
    const start = cpuUsage();
    work();
    const { user, system } = cpuUsage(start);
    if (run > 0) least = Math.min(least, user + system);
  }
  return (4 * COUNT * arrays / least / 1e3).toFixed(1);
}

console.log("| codec | bytes | encode | with a residual | decode | sum of 8, written again |");
console.log("|---|---|---|---|---|---|");
for (const name of CODECS) {
  const codec = codecOf(name)!, bytes = new Uint8Array(codec.bytes(COUNT));
  const cells = [
    name,
    `${(bytes.length / (4 * COUNT)).toFixed(4)}`,
    speed(1, () => encode(codec, values, bytes)),
    speed(1, () => encode(codec, values, bytes, residual)),
    speed(1, () => decode(codec, bytes, out)),
    speed(RANKS, () => sumEncoded(codec, new Array(RANKS).fill(bytes), COUNT, bytes.slice())),
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
