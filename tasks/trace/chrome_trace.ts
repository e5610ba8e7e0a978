/**
 * A run as a trace in Chrome's format, which Perfetto (https://ui.perfetto.dev) opens: one track for each rank, made
 * of the run's own log. (Trace Event Format, "JSON Object Format": complete events X, metadata M, counters C.)
 *
 * @module
 */

import { counted } from "../../runtime/base/words.ts";
import { join } from "node:path";
import { optionsOf } from "../logs/config.ts";
import { RunLog } from "../logs/run_log.ts";
import { readSpans, type Span } from "./spans.ts";

/** Name of the file in a run's folder. */
export const TRACE_FILE = "trace.json";

/** Steps that are traced, at most, over all ranks: a step is up to four events of about 130 bytes each. */
export const MOST_STEPS = 40_000;

/** An event; times in microseconds since the run's first step. */
interface TraceEvent {
  readonly name: string;
  readonly cat?: string;
  readonly ph: "X" | "M" | "C" | "i";
  readonly pid: 0;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly s?: "t";
  readonly args?: Readonly<Record<string, number | string>>;
}

/** A step of a rank, in milliseconds since the run's first. */
interface TracedStep {
  readonly rank: number;
  readonly step: number;
  readonly start: number;
  readonly end: number;
  /** Of it, at its end: what the rank waited for others, then the exchange itself. */
  readonly waiting: number;
  readonly exchange: number;
  readonly loss: number;
}

/**
 * Writes `trace.json` into a run's folder, from its log as far as it goes; nothing where there is none.
 *
 * Exchanges are drawn at the end of their step, whatever their place in it. Of the time that ranks spend in one, what
 * even the last of them spends is the exchange itself, and the rest is waiting. Between steps a rank evaluates, or
 * copies what a checkpoint holds, which is written while the next steps go on.
 *
 * @param most steps that are traced, over all ranks; of more, the first and the last halves
 * @returns its path, or null
 */
export async function writeTrace(directory: string, most = MOST_STEPS): Promise<string | null> {
  try {
    await Deno.stat(join(directory, "metrics.jsonl"));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const log = await RunLog.open(directory), spans = await readSpans(directory);
  const path = join(directory, TRACE_FILE);
  using file = await Deno.create(path);
  const encoder = new TextEncoder();
  const write = async (text: string) => {
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  };
  await write('{"displayTimeUnit":"ms","traceEvents":[\n');
  let lines: string[] = [], first = true;
  for (const event of eventsOf(log, spans, most)) {
    lines.push(JSON.stringify(event));
    if (lines.length < 5000) continue;
    await write((first ? "" : ",\n") + lines.join(",\n"));
    [lines, first] = [[], false];
  }
  if (lines.length > 0) await write((first ? "" : ",\n") + lines.join(",\n"));
  await write("\n]}\n");
  return path;
}

function* eventsOf(log: RunLog, spans: readonly Span[], most: number): Generator<TraceEvent> {
  const { model, algorithm } = optionsOf(log.config);
  const named = [model, algorithm].filter((part) => typeof part === "string").join(", ");
  yield { name: "process_name", ph: "M", pid: 0, tid: 0, args: { name: named || "run" } };
  const byRank = Map.groupBy(stepsOf(log), ({ rank }) => rank);
  const ranks = [...byRank.keys()].sort((a, b) => a - b);
  // Beside a rank there is room for what is told of rank 0 alone.
  const kinds = [...new Set(spans.map(({ kind }) => kind))], first = ranks[0] ?? 0;
  for (const rank of ranks) {
    yield* trackOf(rank, `rank ${rank}`, rank === first ? 0 : rank + kinds.length);
  }
  for (const [i, kind] of kinds.entries()) {
    const tid = (ranks.at(-1) ?? 0) + 1 + i;
    yield* trackOf(tid, `rank ${first}: ${kind}s`, 1 + i);
    yield* spanEvents(spans.filter((span) => span.kind === kind), tid);
  }
  const evaluated = evaluatedSteps(log), saved = savedSteps(spans);
  const each = Math.max(2, Math.floor(most / Math.max(1, ranks.length)));
  for (const rank of ranks) {
    const steps = byRank.get(rank)!, left = steps.length - each, half = Math.ceil(each / 2);
    let before: TracedStep | null = null;
    for (const [index, step] of steps.entries()) {
      if (left > 0 && index >= half && index < half + left) {
        if (index === half) {
          const args = { steps: left };
          const name = `${counted(left, "step")} left out`;
          const ts = micro(step.start);
          yield { name, cat: "step", ph: "i", s: "t", pid: 0, tid: rank, ts, args };
        }
        before = null;
        continue;
      }
      if (before !== null && step.start - before.end > LEAST_GAP_MS) {
        const name = evaluated.has(before.step)
          ? "evaluation"
          : saved.has(before.step)
          ? "checkpoint"
          : "between steps";
        yield span(name, "between", rank, before.end, step.start, { step: before.step });
      }
      yield* stepEvents(step);
      if (rank === ranks[0] && Number.isFinite(step.loss)) {
        const args = { loss: Number(step.loss.toPrecision(6)) };
        yield { name: "loss", ph: "C", pid: 0, tid: rank, ts: micro(step.end), args };
      }
      before = step;
    }
  }
}

function* trackOf(tid: number, name: string, index: number): Generator<TraceEvent> {
  yield { name: "thread_name", ph: "M", pid: 0, tid, args: { name } };
  yield { name: "thread_sort_index", ph: "M", pid: 0, tid, args: { sort_index: index } };
}

/** Spans of one kind, one after the other: what overlaps the one before by a rounding begins when that has ended. */
function* spanEvents(spans: readonly Span[], tid: number): Generator<TraceEvent> {
  let free = 0;
  for (const { kind, name, start, milliseconds, of } of spans) {
    const end = Math.max(free, start + milliseconds), begin = Math.max(free, start);
    yield span(name, kind, tid, begin, end, of);
    free = end;
  }
}

/** Shorter pauses between two steps are none. */
const LEAST_GAP_MS = 0.5;

function* stepEvents(step: TracedStep): Generator<TraceEvent> {
  const { rank, start, end, waiting, exchange } = step;
  yield span(`step ${step.step}`, "step", rank, start, end, {
    compute: Number((end - start - waiting - exchange).toPrecision(6)),
  });
  const met = end - waiting - exchange;
  if (waiting > 0) yield span("waiting", "exchange", rank, met, met + waiting);
  if (exchange > 0) yield span("exchange", "exchange", rank, met + waiting, end);
}

function span(
  name: string,
  cat: string,
  tid: number,
  start: number,
  end: number,
  args?: TraceEvent["args"],
): TraceEvent {
  const ts = micro(start), dur = Math.max(0, Math.round((micro(end) - ts) * 10) / 10);
  return { name, cat, ph: "X", pid: 0, tid, ts, dur, ...args ? { args } : {} };
}

/** Microseconds, to a tenth. */
const micro = (milliseconds: number) => Math.round(milliseconds * 10_000) / 10;

/** The steps that hold, rank by rank in their order. */
function stepsOf(log: RunLog): TracedStep[] {
  const { steps } = log;
  const rank = steps.column("rank"), step = steps.column("step"), at = steps.column("iteration");
  const seconds = steps.column("seconds"), whole = steps.column("stepMs");
  const sync = steps.column("syncMs"), loss = steps.column("loss");
  const rows = steps.rows().filter((row) =>
    Number.isFinite(whole[row]) && Number.isFinite(seconds[row])
  );
  const spent = (row: number) => Number.isFinite(sync[row]) ? Math.min(sync[row], whole[row]) : 0;
  // All leave a meeting together: what even the last spent in it is the exchange itself.
  const least = new Map<number, number>();
  for (const row of rows) {
    least.set(at[row], Math.min(least.get(at[row]) ?? Infinity, spent(row)));
  }
  return rows.map((row) => {
    const exchange = least.get(at[row])!, end = seconds[row] * 1000;
    return {
      rank: rank[row],
      step: step[row],
      start: end - whole[row],
      end,
      waiting: spent(row) - exchange,
      exchange,
      loss: loss[row],
    };
  });
}

/** The steps after which a checkpoint was written. */
function savedSteps(spans: readonly Span[]): Set<unknown> {
  return new Set(spans.filter(({ kind }) => kind === "checkpoint").map(({ of }) => of.step));
}

/** The steps after which something was evaluated. */
function evaluatedSteps({ evals }: RunLog): Set<number> {
  const step = evals.column("step");
  return new Set(evals.rows().map((row) => step[row]));
}
