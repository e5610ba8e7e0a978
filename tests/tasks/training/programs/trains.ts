/** Trains the small network on clusters of points, and says what the weights came to. */

import { init } from "../../../../runtime/bootstrap/init.ts";
import { resolveOptions } from "../../../../tasks/options/resolve.ts";
import { train } from "../../../../tasks/training/train.ts";
import { clusterModel, clusters } from "../../../_helpers/clusters.ts";

await using comm = await init();
const options = resolveOptions({ device: "cpu", ranks: comm.size, maxSteps: 12, interval: 4 });
const { summary } = await train(comm, options, {
  model: clusterModel(12),
  task: clusters(options, comm.rank),
});
if (comm.rank === 0) console.log(`weights ${summary.weightsHash}`);
