/** What is added to an element of the second matrix for its row. */
const TURNS = [1 / 16, -1 / 16, 0, 0];

/**
 * Two square matrices whose product is the first of them, in numbers of 16 bits too and whatever the order in which
 * its sums are formed: ones, and in each column 1/16, −1/16, 0 and 0 by turns with 1 added on the diagonal. No sum on
 * the way is 128, below which 16 bits have every multiple of 1/16, up to an edge of 4,096.
 *
 * @param edge a multiple of 4
 * @param into the first, then the second
 */
export function fillFactors(edge: number, into: Float32Array): void {
  const second = into.subarray(edge * edge);
  into.fill(1, 0, edge * edge);
  for (let k = 0; k < edge; k++) {
    second.fill(TURNS[k % TURNS.length], k * edge, (k + 1) * edge);
    second[k * edge + k] += 1;
  }
}
