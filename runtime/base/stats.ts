/**
 * What a communicator has done, counted for each kind of operation.
 *
 * @module
 */

import { platform } from "./platform.ts";

/** Counts of one kind of operation. */
export interface OperationStats {
  /** Calls begun. */
  calls: number;
  /** Bytes of payload this rank moved, sent and received together. */
  bytes: number;
  /** Bytes of payload sent. */
  bytesSent: number;
  /** Bytes of payload received. */
  bytesReceived: number;
  /** Wall-clock seconds from call to completion, added up; operations may overlap. */
  seconds: number;
}

/** The counters of a communicator. */
export class Stats {
  readonly #operations = new Map<string, OperationStats>();

  /** The counter of an operation, to be added to. */
  of(operation: string): OperationStats {
    let stats = this.#operations.get(operation);
    if (stats === undefined) {
      stats = { calls: 0, bytes: 0, bytesSent: 0, bytesReceived: 0, seconds: 0 };
      this.#operations.set(operation, stats);
    }
    return stats;
  }

  /** Counts one call until `work` settles. */
  async time<T>(operation: string, work: Promise<T>): Promise<T> {
    const stats = this.of(operation);
    stats.calls++;
    const start = platform.now();
    try {
      return await work;
    } finally {
      stats.seconds += (platform.now() - start) / 1e3;
    }
  }

  /** A copy of all counters. */
  snapshot(): Record<string, OperationStats> {
    return Object.fromEntries(
      [...this.#operations].map(([name, stats]) => [name, {
        ...stats,
        bytes: stats.bytesSent + stats.bytesReceived,
      }]),
    );
  }
}
