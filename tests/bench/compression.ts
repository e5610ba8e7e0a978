/**
 * How fast the codecs of compressed reductions are, on one core: gigabytes of float32 numbers a second.
 *
 * @module
 */

import { cpuUsage } from "node:process";
import { codecOf } from "../../runtime/compression/registry.ts";
import { partialSum, sumExactly } from "../../runtime/compression/exact_sum.ts";
import { decode, encode, sumEncoded } from "../../runtime/compression/tile.ts";
import { Random } from "../../runtime/base/random.ts";

const COUNT = 24e6, RANKS = 8, RUNS = 3;
const CODECS = [
  "bf16",
  "fp16",
  "int8",
  "int4",
  "mxint8",
  "mxint4",
  "topk:0.01",
  "topk:0.01:int8",
  "topk:0.1",
];

const random = new Random(1);
const values = Float32Array.from({ length: COUNT }, () => 0.01 * random.normal());
const out = new Float32Array(COUNT), residual = new Float32Array(COUNT);

/** GB/s of the fastest of a few runs over so many arrays of numbers, by processor time. */
function speed(arrays: number, work: () => void, prepare?: () => void): string {
  let least = Infinity;
  for (let run = 0; run <= RUNS; run++) {
    prepare?.();
    const start = cpuUsage();
    work();
    const { user, system } = cpuUsage(start);
    if (run > 0) least = Math.min(least, user + system);
  }
  return (4 * COUNT * arrays / least / 1e3).toFixed(1);
}

console.log("| codec | bytes | encode | with a residual | decode | sum of 8, encoded again |");
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

console.log(
  "\nWhat ranks of a host have written, as one sum of theirs, per byte of their numbers:\n",
);
console.log("| codec | ranks | bytes | sum | added by the owner, encoded again |");
console.log("|---|---|---|---|---|");
for (const name of ["mxint8", "mxint4"]) {
  const codec = codecOf(name)!, length = 1 << 20, own = values.subarray(0, length);
  const inputs = Array.from({ length: 8 }, (_, rank) => {
    const bytes = new Uint8Array(codec.bytes(length));
    encode(codec, values.subarray((rank + 1) * length, (rank + 2) * length), bytes);
    return bytes;
  });
  for (const ranks of [2, 4, 8]) {
    const terms = inputs.slice(0, ranks), into = inputs[0].slice(), arrays = ranks * length / COUNT;
    const bytes = partialSum(codec, terms, length), partial = [{ bytes, isPartial: true }];
    const cells = [
      name,
      ranks,
      (bytes.length / (4 * length)).toFixed(4),
      speed(arrays, () => partialSum(codec, terms, length)),
      speed(arrays, () => sumExactly(codec, partial, own, length, into)),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

/** Numbers among which it is harder, or easier, to find the largest. */
const KINDS: Record<string, () => number> = {
  "normal": () => random.normal(),
  "normal, each block of another size": (() => {
    let drawn = 0;
    return () => random.normal() * 2 ** (17 * (drawn++ >> 12) % 40);
  })(),
  "a ratio of two normal": () => random.normal() / random.normal(),
  "any exponent": () => (0.5 + random.uniform()) * 2 ** (random.integer(250) - 125),
  "4,096 neighbours of 1": () => 1 + random.integer(4096) * 2 ** -23,
  "−1, 0 and 1": () => random.integer(3) - 1,
  "one in a thousand is not 0": () => random.integer(1000) === 0 ? random.normal() : 0,
  "all 1": () => 1,
  "all 0": () => 0,
};

const PICKED = ["topk:0.01", "topk:0.01:int8", "topk:0.1"];
console.log("\nWith a residual, which is 0 before:\n");
console.log(`| numbers | ${PICKED.join(" | ")} |`);
console.log(`|---|${PICKED.map(() => "---|").join("")}`);
for (const [kind, draw] of Object.entries(KINDS)) {
  const some = values.subarray(0, 1 << 21).map(draw), owed = residual.subarray(0, some.length);
  const cells = PICKED.map((name) => {
    const codec = codecOf(name)!, bytes = new Uint8Array(codec.bytes(some.length));
    const share = some.length / COUNT;
    return speed(share, () => encode(codec, some, bytes, owed), () => void owed.fill(0));
  });
  console.log(`| ${[kind, ...cells].join(" | ")} |`);
}
