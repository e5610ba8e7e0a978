/** Exact partial sums by plain loops over single elements: what the kernels have to agree with, byte by byte. */

const BLOCK = 64, INPUTS = 126, ZERO = 127;

/** The exponent field of a float32's multiples, as `exact_partials.ts` counts them: at least 1. */
function exponentField(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0];
  return Math.max(1, bits >>> 23 & 255);
}

/** One block of inputs, filled up with zeros. */
const blocksOf = (inputs: readonly Float32Array[]) =>
  Array.from(
    { length: Math.ceil(inputs[0].length / BLOCK) },
    (_, b) =>
      inputs.map((input) => Array.from({ length: BLOCK }, (_, i) => input[b * BLOCK + i] ?? 0)),
  );

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, -0);
const column = (block: readonly number[][], i: number) => block.map((row) => row[i]);

/** The greatest and least exponent field of what is not 0; 0 if all is. */
function exponents(block: readonly number[][]): { high: number; low: number } {
  const fields = block.flat().filter((value) => value !== 0).map(exponentField);
  return fields.length === 0
    ? { high: 0, low: 0 }
    : { high: Math.max(...fields), low: Math.min(...fields) };
}

export function encodeByLoops(inputs: readonly Float32Array[]): Uint8Array {
  const bytes: number[] = [];
  const put = (value: number, size: number) => {
    for (let k = 0; k < size; k++) bytes.push(Math.floor(value / 256 ** k) & 255);
  };
  for (const block of blocksOf(inputs)) {
    const { high, low } = exponents(block);
    const sums = Array.from({ length: BLOCK }, (_, i) => sumOf(column(block, i)));
    const greatest = Math.max(...sums.map(Math.abs));
    let unit = low;
    while (high < 255 && greatest >= 2 ** (31 + unit - 150)) unit++;
    const isExact = high < 255 && high - low <= 29 - Math.ceil(Math.log2(inputs.length));
    if (!isExact || unit > 255) {
      bytes.push(INPUTS, high, low, 0);
      for (const value of block.flat()) {
        bytes.push(...new Uint8Array(Float32Array.of(value).buffer));
      }
      continue;
    }
    const counts = sums.map((sum) => Math.floor(sum / 2 ** (unit - 150)));
    const rests = sums.map((sum, i) => sum / 2 ** (unit - 150) - counts[i]);
    const exceptions = [...sums.keys()].filter((i) => rests[i] !== 0 || Object.is(sums[i], -0));
    if (greatest === 0 && exceptions.length === 0) {
      bytes.push(ZERO, high, low, unit);
      continue;
    }
    const isLong = exceptions.length > 0 && unit - low > 10;
    bytes.push(exceptions.length + (isLong ? 128 : 0), high, low, unit);
    for (const count of counts) put(count < 0 ? count + 2 ** 32 : count, 4);
    for (const i of exceptions) {
      put(i + 64 * rests[i] * 2 ** (isLong ? 26 : 10), isLong ? 4 : 2);
    }
    while (bytes.length % 4 !== 0) bytes.push(0);
  }
  return Uint8Array.from(bytes);
}

/** The blocks of all ranks' inputs whose sum is not certainly that of another order. */
export function doubtfulByLoops(inputs: readonly Float32Array[]): number[] {
  const ranks = inputs.length;
  return blocksOf(inputs).flatMap((block, b) => {
    const { high, low } = exponents(block);
    if (high === 255) return [b];
    if (high - low <= 29 - Math.ceil(Math.log2(ranks))) return [];
    const error = ranks ** 2 * 2 ** (high - 177);
    const isCertain = Array.from({ length: BLOCK }, (_, i) => sumOf(column(block, i)))
      .every((sum) => {
        const below = Math.fround(sum - error);
        return below !== 0 && below === Math.fround(sum + error);
      });
    return isCertain ? [] : [b];
  });
}
