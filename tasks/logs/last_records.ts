/**
 * The end of a log: what a run came to, without reading how it came there.
 *
 * @module
 */

import { join } from "node:path";
import { parseLogLine } from "./_log_lines.ts";
import type { EvalRecord, StepRecord, SummaryRecord } from "./records.ts";

/** Bytes that are read at a time, from the end backwards. */
const CHUNK_BYTES = 1 << 16;

/** The last records of each kind; null where the log has none. */
export interface LastRecords {
  /** Of a run that has ended well; null if steps were taken after it. */
  readonly summary: Partial<SummaryRecord> | null;
  /** The last step of any rank. */
  readonly step: Partial<StepRecord> | null;
  /** The last evaluation on data that the run does not train on. */
  readonly evaluation: Partial<EvalRecord> | null;
  /** When the log was last written to; null where the system does not say. */
  readonly modified: Date | null;
}

/**
 * Reads the end of the log in a run's folder: of a finished run its summary alone, of another as much as
 * it takes to find a step and an evaluation. Damaged lines are passed over.
 *
 * @throws {Deno.errors.NotFound} if there is no log
 */
export async function lastRecords(directory: string): Promise<LastRecords> {
  using file = await Deno.open(join(directory, "metrics.jsonl"));
  const { size, mtime } = await file.stat();
  let step: LastRecords["step"] = null, evaluation: LastRecords["evaluation"] = null;
  for await (const line of linesFromEnd(file, size)) {
    const { record } = parseLogLine(line);
    if (record?.type === "summary" && step === null) {
      return { summary: record as Partial<SummaryRecord>, step, evaluation, modified: mtime };
    }
    if (record?.type === "step") step ??= record as unknown as StepRecord;
    if (record?.type === "eval" && record.split !== "train") {
      evaluation ??= record as unknown as EvalRecord;
    }
    if (step !== null && evaluation !== null) break;
  }
  return { summary: null, step, evaluation, modified: mtime };
}

/** The lines of a file, the last one first. */
async function* linesFromEnd(file: Deno.FsFile, size: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  // What has been read of the line that begins further up.
  let rest = new Uint8Array(0);
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const bytes = new Uint8Array(end - start + rest.length);
    bytes.set(rest, end - start);
    await file.seek(start, Deno.SeekMode.Start);
    for (let at = 0; at < end - start;) {
      const read = await file.read(bytes.subarray(at, end - start));
      if (read === null) return; // begun anew meanwhile
      at += read;
    }
    const first = start === 0 ? 0 : bytes.indexOf(0x0a) + 1;
    rest = bytes.slice(0, first);
    end = start;
    if (first === 0 && start > 0) {
      rest = bytes;
      continue;
    }
    yield* decoder.decode(bytes.subarray(first)).split("\n").reverse();
  }
}
