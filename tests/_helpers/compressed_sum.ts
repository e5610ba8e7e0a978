/**
 * The codecs once more, in plain JavaScript: nothing of it is shared with the kernels that must agree with
 * it bit for bit. What an encoded array is read as, and how long it is.
 */

const f = Math.fround;

/** What a function makes of each number; `map` takes several times as long. */
function each(x: Float32Array, of: (value: number, i: number) => number): Float32Array {
  const out = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) out[i] = of(x[i], i);
  return out;
}

/** The largest magnitude; NaN if there is one. */
function largestOf(x: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < x.length; i++) largest = Math.max(largest, Math.abs(x[i]));
  return largest;
}

/** The integer nearest to a float32, ties to even. */
function nearest(x: number): number {
  const below = Math.floor(x), rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** What int8 (256, 127) and int4 (128, 7) make of a block. */
function scaledBlock(x: Float32Array, most: number): Float32Array {
  const largest = largestOf(x);
  if (!Number.isFinite(largest)) return new Float32Array(x.length).fill(NaN);
  const scale = f(largest / most);
  if (scale === 0) return new Float32Array(x.length);
  return each(x, (value) => {
    const q = Math.max(-most, Math.min(most, nearest(f(value / scale))));
    return f((q + 0) * scale); // −0 + 0 is 0: integers have no −0
  });
}

/** What mxint8 (7 bits of magnitude) and mxint4 (3) make of a block. */
function poweredBlock(x: Float32Array, bits: number): Float32Array {
  const largest = largestOf(x);
  if (!Number.isFinite(largest)) return new Float32Array(x.length).fill(NaN);
  // A logarithm is near; from below it, the comparison is exact.
  let exponent = Math.max(-149, Math.floor(Math.log2(largest)) - 1);
  while (2 ** (exponent + 1) <= largest) exponent++;
  exponent -= bits - 1;
  if (exponent < -126) return new Float32Array(x.length);
  const most = 2 ** bits - 1;
  return each(x, (value) => {
    const q = Math.max(-most, Math.min(most, nearest(value / 2 ** exponent)));
    return (q + 0) * 2 ** exponent;
  });
}

const view = new DataView(new ArrayBuffer(4));

/** The nearest number with 16 bits of a float32, ties to even, among the two around it. */
function bf16(x: number): number {
  if (!Number.isFinite(x)) return x;
  view.setFloat32(0, x);
  const high = view.getUint16(0);
  const of = (bits: number) => {
    view.setUint16(0, bits);
    view.setUint16(2, 0);
    return view.getFloat32(0);
  };
  const toZero = of(high), away = of(high + 1);
  const size = Math.abs(x), low = Math.abs(toZero);
  // The next number beyond the largest would have been 2¹²⁸.
  const top = Number.isFinite(away) ? Math.abs(away) : 2 ** 128;
  const middle = (low + top) / 2;
  if (size !== middle) return size < middle ? toZero : away;
  return high % 2 === 0 ? toZero : away;
}

function fp16(x: number): number {
  view.setFloat16(0, x);
  return view.getFloat16(0);
}

/** What int2 makes of picked numbers: each half of the range of their magnitudes has its mean. */
function halvesOfRange(x: Float32Array): Float32Array {
  const sizes = Array.from(x, Math.abs);
  if (!sizes.every(Number.isFinite)) return new Float32Array(x.length).fill(NaN);
  const middle = (Math.min(...sizes) + Math.max(...sizes)) / 2;
  const meanOf = (some: number[]) => f(some.reduce((sum, size) => sum + size, 0) / some.length);
  const below = meanOf(sizes.filter((size) => size <= middle));
  const above = meanOf(sizes.filter((size) => size > middle));
  return each(x, (value, i) => (sizes[i] > middle ? above : below) * (value < 0 ? -1 : 1));
}

/** What `topk` leaves of a block: the numbers that are picked, and where. */
function picks(x: Float32Array, fraction: number): number[] {
  const sizes = new Float64Array(x.length);
  // NaNs before infinities, and these before all numbers.
  for (let i = 0; i < x.length; i++) {
    sizes[i] = Number.isNaN(x[i]) ? Infinity : Math.min(2 ** 128, Math.abs(x[i]));
  }
  const count = Math.ceil(fraction * x.length), least = sizes.toSorted()[x.length - count];
  let level = count; // so many of those that are as large as the least come along, the first of them
  for (let i = 0; i < x.length; i++) if (sizes[i] > least) level--;
  const picked: number[] = [];
  for (let i = 0; i < x.length; i++) {
    if (sizes[i] > least || sizes[i] === least && level-- > 0) picked.push(i);
  }
  return picked;
}

/** Applies a function to blocks of so many numbers. */
function byBlocks(
  x: Float32Array,
  size: number,
  of: (block: Float32Array) => Float32Array,
): Float32Array {
  const out = new Float32Array(x.length);
  for (let at = 0; at < x.length; at += size) out.set(of(x.subarray(at, at + size)), at);
  return out;
}

/** What an array is read as after it has been written by a codec. */
export function roundTrip(name: string, x: Float32Array): Float32Array {
  switch (name) {
    case "bf16":
      return each(x, bf16);
    case "fp16":
      return each(x, fp16);
    case "int8":
      return byBlocks(x, 256, (block) => scaledBlock(block, 127));
    case "int4":
      return byBlocks(x, 128, (block) => scaledBlock(block, 7));
    case "mxint8":
      return byBlocks(x, 32, (block) => poweredBlock(block, 7));
    case "mxint4":
      return byBlocks(x, 32, (block) => poweredBlock(block, 3));
  }
  if (name === "int2") return halvesOfRange(x);
  const [kind, fraction, inner] = name.split(":");
  if (kind !== "topk") throw new Error(`no reference for ${name}`);
  return byBlocks(x, 4096, (block) => {
    const at = picks(block, Number(fraction)), out = new Float32Array(block.length);
    const kept = Float32Array.from(at, (i) => block[i]);
    const read = inner ? roundTrip(inner, kept) : kept;
    at.forEach((i, j) => out[i] = read[j]);
    return out;
  });
}

/**
 * A compressed allreduce of all ranks' arrays, in place: rank p owns the p-th chunk of whole blocks, gets it
 * from all others as they have written it, adds its own as it is, in the order of ranks, and writes the sum, which
 * all read. Where all that is written are integers times powers of two, the others' are added exactly, and the owner's
 * last. What is lost stays in the residuals of the rank that has lost it, and is added the next time.
 *
 * @param contributes which ranks' arrays count. @default {all}
 */
export function allreduce(
  name: string,
  arrays: readonly Float32Array[],
  residuals: readonly (Float32Array | null)[] = arrays.map(() => null),
  contributes: readonly boolean[] = arrays.map(() => true),
): void {
  const ranks = arrays.length, count = arrays[0].length, block = blockOf(name);
  const sums = arrays.map((x, rank) => {
    const owed = residuals[rank];
    return owed && contributes[rank] ? each(x, (value, i) => f(value + owed[i])) : x.slice();
  });
  if (ranks === 1) {
    arrays[0].set(contributes[0] ? sums[0] : new Float32Array(count));
    if (contributes[0]) residuals[0]?.fill(0);
    return;
  }
  const blocks = Math.ceil(count / block);
  const bound = (rank: number) => Math.min(count, Math.floor(blocks * rank / ranks) * block);
  const result = new Float32Array(count);
  for (let owner = 0; owner < ranks; owner++) {
    const start = bound(owner), end = bound(owner + 1);
    let own: Float32Array | null = null;
    const terms: Float32Array[] = [];
    sums.forEach((sum, rank) => {
      if (!contributes[rank]) return;
      const slice = sum.slice(start, end);
      const sent = rank === owner ? slice : roundTrip(name, slice);
      if (rank === owner && name.startsWith("mx")) own = slice;
      else terms.push(sent);
      if (rank !== owner) {
        residuals[rank]?.set(each(slice, (value, i) => f(value - sent[i])), start);
      }
    });
    const rounded = new Float32Array(end - start), isExact = name.startsWith("mx");
    for (let i = 0; i < rounded.length; i++) {
      rounded[i] = isExact ? exactly(terms, i) + (own?.[i] ?? 0) : inOrder(terms, i);
    }
    const read = roundTrip(name, rounded);
    result.set(read, start);
    const owed = residuals[owner];
    if (!owed) continue;
    for (let i = 0; i < rounded.length; i++) {
      const lost = f(rounded[i] - read[i]);
      owed[start + i] = contributes[owner] ? lost : f(owed[start + i] + lost);
    }
  }
  for (const array of arrays) array.set(result);
}

/** The sum of the i-th numbers, one after the other. */
function inOrder(terms: readonly Float32Array[], i: number): number {
  let sum = terms.length === 0 ? 0 : terms[0][i];
  for (let rank = 1; rank < terms.length; rank++) sum += terms[rank][i];
  return sum;
}

/** The sum of the i-th numbers, rounded to float64 once. */
function exactly(terms: readonly Float32Array[], i: number): number {
  let sum = 0, isExact = true;
  for (const term of terms) {
    const value = term[i], next = sum + value, added = next - sum;
    isExact &&= sum - (next - added) + (value - added) === 0; // what rounding has lost (Knuth's TwoSum)
    sum = next;
  }
  const values = isExact ? [] : terms.map((term) => term[i]);
  if (isExact || !values.every(Number.isFinite)) return sum;
  const integers = values.reduce((total, value) => total + BigInt(value * 2 ** 149), 0n);
  return Number(integers) * 2 ** -149;
}

/** Numbers that a codec writes together. */
export function blockOf(name: string): number {
  return { bf16: 8, fp16: 8, int8: 256, int4: 128, mxint8: 32, mxint4: 32 }[name] ?? 4096;
}
