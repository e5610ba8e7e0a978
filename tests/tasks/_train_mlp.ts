import { permissionsFor } from "../../runtime/devices/open.ts";
import { launchProgram } from "../../runtime/launcher/launch.ts";
import { readMetrics } from "../../tasks/logs/log_tail.ts";
import type { MetricRecord, Summary } from "../../tasks/logs/records.ts";
import type { Options } from "../../tasks/options/table.ts";

/** What the ranks came to. */
export interface MlpRun {
  weights: number[];
  summary: Summary;
  records: MetricRecord[];
}

/** Trains the small network on real ranks. */
export async function trainMlp(options: Partial<Options>): Promise<MlpRun> {
  const directory = await Deno.makeTempDir();
  try {
    let printed = "";
    const { code, failure } = await launchProgram({
      ranks: options.ranks ?? 1,
      program: new URL("./programs/train_mlp.ts", import.meta.url),
      args: [
        JSON.stringify({ device: "cpu", epochs: 1000, evalEvery: 1000, ...options }),
        directory,
      ],
      allow: [
        ...permissionsFor(options.device === "webgpu" ? "webgpu" : "cpu"),
        `read=${directory}`,
        `write=${directory}`,
      ],
      quiet: true,
      onOutput: (rank, line, stream) => {
        if (rank === 0 && stream === "stdout") printed += line;
      },
    });
    if (code !== 0) throw new Error(failure?.message ?? `the ranks ended with ${code}`);
    return { ...JSON.parse(printed), records: readMetrics(`${directory}/metrics.jsonl`) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
