/**
 * The exponential moving average of the weights, which is evaluated in their place, see `--ema`:
 *
 *     a_t = a_{t−1} + μ_t (x_t − a_{t−1}),     μ_t = (1 − D) / (1 − Dᵗ)
 *
 * so that a_t is the mean of x_1 … x_t with weights in proportion to D^{t−s}: the weights before the first step
 * have no part in it. After many steps μ is 1 − D, and the average spans about 1/(1 − D) of them. It moves on in
 * the graph as that of `non_monotone_averaging.ts` does.
 *
 * Polyak and Juditsky 1992; the correction of the first steps is Adam's, Kingma and Ba, ICLR 2015, section 3.
 *
 * @module
 */

/**
 * μ of a step.
 *
 * @param step counted from 1
 * @param decay D, above 0 and below 1
 */
export function movingAverageWeight(step: number, decay: number): number {
  return (1 - decay) / (1 - decay ** step);
}
