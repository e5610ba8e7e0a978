/**
 * The graphs that a step may need, compiled.
 *
 * @module
 */

import type { Algorithm } from "../../optimizers/mod.ts";
import type { Device } from "../../runtime/devices/device.ts";
import type { OncePerHost } from "../../runtime/once_per_host.ts";
import {
  applyGraph,
  gradientsGraph,
  type GraphShape,
  stepGraph,
  type TrainingGraph,
} from "../networks/graphs.ts";
import type { TrainableModel } from "../task.ts";
import { Sessions } from "./sessions.ts";

/** What the graphs are made of. */
export interface StepSessionsOptions {
  /** The caller's. */
  readonly device: Device;
  readonly model: TrainableModel;
  readonly batchSize: number;
  /** The length of the first step's batch. @default {1} */
  readonly length?: number;
  readonly algorithm: Algorithm;
  /** Mini-batches of a step. @default {1} */
  readonly accumulate?: number;
  /** Whether a step whose numbers are not finite is not taken; its gradients are exchanged with nobody. @default {false} */
  readonly skips?: boolean;
  /** Who else makes the same graphs and weights. @default {PER_RANK} */
  readonly sharing?: OncePerHost;
}

/** Sessions of one of the graphs that a step may need, with or without averages of the weights. */
export function sessionsOf(
  {
    device,
    model,
    batchSize,
    length: first = 1,
    accumulate = 1,
    algorithm: { update },
    skips = false,
    sharing,
  }: StepSessionsOptions,
  kind: "fused" | "apply" | "gradients",
  average = false,
): Sessions {
  // The update alone knows no batch.
  if (kind === "apply") {
    return new Sessions({ device, build: () => applyGraph(model, update, { average }), sharing });
  }
  const build = (shape: GraphShape): TrainingGraph =>
    kind === "fused"
      ? stepGraph(model, shape, update, { average, skips })
      : gradientsGraph(model, shape, { accumulate });
  return new Sessions({
    device,
    length: first,
    anyLength: model.anyLength,
    build: (length) => build({ batchSize, length }),
    sharing,
  });
}
