import type { NodeTime } from "../device.ts";

/** Bytes of a time. */
const TIME_BYTES = 8;
/** Passes that are timed; what comes after them is not. A set of queries has 4,096 at most. */
const MOST = 2048;

/** What the kernels between graphs take on the GPU, in nanoseconds of its own clock. */
export class KernelTimes {
  readonly #gpu: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #operators: string[] = [];

  /** @returns null where the GPU does not tell */
  static on(gpu: GPUDevice): KernelTimes | null {
    return gpu.features.has("timestamp-query") ? new KernelTimes(gpu) : null;
  }

  private constructor(gpu: GPUDevice) {
    this.#gpu = gpu;
    this.#queries = gpu.createQuerySet({ type: "timestamp", count: 2 * MOST });
  }

  /** What a pass is to be begun with whose dispatches compute an operator. */
  pass(operator: string): GPUComputePassDescriptor {
    if (this.#operators.length === MOST) return {};
    const first = 2 * (this.#operators.push(operator) - 1);
    return {
      timestampWrites: {
        querySet: this.#queries,
        beginningOfPassWriteIndex: first,
        endOfPassWriteIndex: first + 1,
      },
    };
  }

  /** The times of all passes since the last call. */
  async read(): Promise<NodeTime[]> {
    const operators = this.#operators.splice(0), count = 2 * operators.length;
    if (count === 0) return [];
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const [resolved, staging] = [QUERY_RESOLVE | COPY_SRC, COPY_DST | MAP_READ].map((usage) =>
      this.#gpu.createBuffer({ size: TIME_BYTES * count, usage })
    );
    try {
      const encoder = this.#gpu.createCommandEncoder();
      encoder.resolveQuerySet(this.#queries, 0, count, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, TIME_BYTES * count);
      this.#gpu.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const times = new BigUint64Array(staging.getMappedRange().slice(0));
      return operators.map((operator, i) => ({
        node: `${operator} ${i}`,
        operator,
        provider: "celgc",
        start: Number(times[2 * i] - times[0]) / 1e6,
        milliseconds: Number(times[2 * i + 1] - times[2 * i]) / 1e6,
      }));
    } finally {
      for (const buffer of [resolved, staging]) buffer.destroy();
    }
  }

  /** Gives the memory back. */
  release(): void {
    this.#queries.destroy();
  }
}
