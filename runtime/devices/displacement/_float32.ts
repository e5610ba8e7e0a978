/**
 * Float32 in WGSL by integers alone. A GPU may fuse a product with a sum, flush subnormals, round a quotient to
 * one of its neighbours and take NaNs for impossible; of what all ranks must have alike, the bits may not depend
 * on the GPU. Numbers are their bits, sums and quotients rounded to the nearest, ties to even.
 */
export const FLOAT32 = /* wgsl */ `
const SIGN = 0x80000000u;
const MAGNITUDE = 0x7fffffffu;
const INFINITE = 0x7f800000u;
const QUIET = 0x00400000u;
const NAN = 0x7fc00000u;

fn exponentOf(x: u32) -> i32 { return max(i32((x & MAGNITUDE) >> 23u), 1); }

/** 24 bits, of which subnormals have no first. */
fn significandOf(x: u32) -> u32 {
  return (x & 0x7fffffu) | select(0u, 0x800000u, (x & INFINITE) != 0u);
}

/** Moved to the right; the last bit says whether anything was lost. */
fn moved(m: u32, by: u32) -> u32 {
  if (by == 0u) { return m; }
  if (by > 31u) { return select(0u, 1u, m != 0u); }
  return (m >> by) | select(0u, 1u, (m << (32u - by)) != 0u);
}

/** m · 2^(exponent − 127 − 31), whose last bit may stand for more. */
fn rounded(sign: u32, exponent: i32, m: u32) -> u32 {
  if (m == 0u) { return sign; }
  let zeros = countLeadingZeros(m);
  var e = exponent - i32(zeros);
  var fraction = m << zeros;
  if (e < 1) {
    fraction = moved(fraction, u32(1 - e));
    e = 1;
  }
  if (e > 254) { return sign | INFINITE; }
  // The first bit of a normal number adds one to the exponent, and so may rounding.
  var bits = (u32(e - 1) << 23u) + (fraction >> 8u);
  let rest = fraction & 0xffu;
  if (rest > 0x80u || (rest == 0x80u && (bits & 1u) == 1u)) { bits++; }
  return sign | bits;
}

fn added(first: u32, second: u32) -> u32 {
  var a = first;
  var b = second;
  if ((b & MAGNITUDE) > (a & MAGNITUDE)) {
    a = second;
    b = first;
  }
  let isApart = ((a ^ b) & SIGN) != 0u;
  if ((a & MAGNITUDE) > INFINITE) { return a | QUIET; }
  if ((a & MAGNITUDE) == INFINITE) { return select(a, NAN, isApart && (b & MAGNITUDE) == INFINITE); }
  let e = exponentOf(a);
  let large = significandOf(a) << 7u;
  let small = moved(significandOf(b) << 7u, u32(e - exponentOf(b)));
  let m = select(large + small, large - small, isApart);
  return rounded(select(a & SIGN, 0u, isApart && m == 0u), e + 1, m);
}

fn subtracted(a: u32, b: u32) -> u32 { return added(a, b ^ SIGN); }

/** x · q, |q| ≤ 128 */
fn multiplied(x: u32, q: i32) -> u32 {
  let sign = (x & SIGN) ^ select(0u, SIGN, q < 0);
  let magnitude = x & MAGNITUDE;
  if (magnitude > INFINITE) { return x | QUIET; }
  if (magnitude == INFINITE) { return select(sign | INFINITE, NAN, q == 0); }
  return rounded(sign, exponentOf(x) + 8, significandOf(x) * u32(abs(q)));
}

/** x / by, 0 < by ≤ 32768 */
fn divided(x: u32, by: u32) -> u32 {
  let magnitude = x & MAGNITUDE;
  if (magnitude > INFINITE) { return x | QUIET; }
  if (magnitude == INFINITE || magnitude == 0u) { return x; }
  let zeros = countLeadingZeros(significandOf(x));
  let m = significandOf(x) << zeros;
  let first = m / by;
  let more = countLeadingZeros(first);
  let rest = (m % by) << more;
  let quotient = (first << more) + rest / by;
  let isExact = rest % by == 0u;
  return rounded(x & SIGN, exponentOf(x) + 8 - i32(zeros + more), quotient | select(1u, 0u, isExact));
}

/** x / by as float32, rounded to the nearest integer, at most "most" away from 0; by > 0 and both finite. */
fn integerOf(x: u32, by: u32, most: i32) -> i32 {
  if ((x & MAGNITUDE) == 0u) { return 0; }
  let xZeros = countLeadingZeros(significandOf(x));
  let byZeros = countLeadingZeros(significandOf(by));
  var rest = significandOf(x) << (xZeros - 8u);
  let divisor = significandOf(by) << (byZeros - 8u);
  var e = exponentOf(x) - i32(xZeros) - exponentOf(by) + i32(byZeros);
  if (rest < divisor) {
    rest <<= 1u;
    e--;
  }
  if (e < -1) { return 0; } // below ½
  if (e > 22) { return select(most, -most, (x & SIGN) != 0u); }
  var quotient = 0u;
  for (var bit = 0; bit < 24; bit++) {
    quotient <<= 1u;
    if (rest >= divisor) {
      rest -= divisor;
      quotient |= 1u;
    }
    rest <<= 1u;
  }
  if (rest > divisor || (rest == divisor && (quotient & 1u) == 1u)) { quotient++; }
  let below = u32(23 - e);
  let half = 1u << (below - 1u);
  var whole = quotient >> below;
  let left = quotient & ((1u << below) - 1u);
  if (left > half || (left == half && (whole & 1u) == 1u)) { whole++; }
  let size = min(i32(whole), most);
  return select(size, -size, (x & SIGN) != 0u);
}
`;
