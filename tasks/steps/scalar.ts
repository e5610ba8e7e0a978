/**
 * Single numbers as tensors.
 *
 * @module
 */

import type { HostTensor } from "../../runtime/devices/device.ts";

/** A tensor of one float. */
export const scalar = (value: number): HostTensor => ({
  type: "float32",
  dims: [],
  data: Float32Array.of(value),
});
