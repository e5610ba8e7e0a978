/**
 * Means over all but the channels, as WebGPU does them best: onnxruntime keeps images there with the
 * channels last, and its reductions first copy the whole tensor to get the axes they run over to the end.
 * Its pooling takes images as they lie.
 */

import type { Graph, Value } from "../../graph.ts";
import { sizeOf } from "../../tensor.ts";

/**
 * The mean over all axes but the channels: `[channels]`. First over each image, which splits the long sum
 * among as many cores as there are images, then over the batch, by a product with a row of 1/batch.
 *
 * @param x `[batch, channels, …]`
 */
export function channelMeans(g: Graph, x: Value): Value {
  const [batch, channels, ...spatial] = x.dims;
  const image = spatial.length === 2 ? x : g.reshape(x, [batch, channels, sizeOf(spatial), 1]);
  // Not reshaped: a squeeze lets onnxruntime see that the channels need not be moved.
  const perImage = spatial.length === 0 ? x : g.squeeze(g.op("GlobalAveragePool", [image]), [2, 3]);
  const share = g.constant(x.type, [1, batch], 1 / batch);
  return g.reshape(g.matmul(share, perImage), [channels]);
}
