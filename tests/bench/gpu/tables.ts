/**
 * What `bench gpu` has measured, as tables in Markdown.
 *
 * @module
 */

import { AHEAD, type Measurement } from "./measure.ts";
import type { Findings } from "./report.ts";

type Row = readonly string[];

/** Of the time of training, what is aimed at for exchanging with 8 ranks on a card at I = 16. */
const AIM = 0.03;
/** Losses that differ by more of themselves are pointed out. */
const AGREE = 1e-3;

/** All tables, and what is missing. What a table cannot be made of costs that table alone. */
export function tablesOf({ date, seconds, measurements, leftOut }: Findings): string {
  const all = (what: string) => measurements.filter((each) => each.what === what);
  const sections: (() => string)[] = [
    () => `Measured at ${date}, in ${seconds} s.`,
    () => card(all("card"), all("versions")),
    () => ceilings([...all("copy"), ...all("matmul")]),
    () => steps(all("step"), all("dispatches")),
    () => readback(all("step")),
    () => losses(all("losses")),
    () => ranks(all("ranks")),
    ...all("operators").map((each) => () => operators(each)),
    () =>
      leftOut.length > 0
        ? `Left out:\n\n${leftOut.map(({ part, why }) => `- ${part}: ${why}`).join("\n")}`
        : "Nothing was left out.",
  ];
  return sections.map(shown).filter((section) => section !== "").join("\n\n");
}

function shown(section: () => string): string {
  try {
    return section();
  } catch (error) {
    return `A table could not be made: ${(error as Error).message}`;
  }
}

function table(head: Row, rows: readonly Row[]): string {
  if (rows.length === 0) return "";
  const line = (row: Row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

const number = (value: unknown, digits = 1) =>
  typeof value === "number" ? value.toFixed(digits) : "";

function card(cards: Measurement[], versions: Measurement[]): string {
  const lines = cards.map(({ description, driver, deno, features, limits, isSoftware }) => {
    const { maxBufferSize, maxStorageBufferBindingSize } = limits as Record<string, number>;
    const has = (features as string[]).filter((each) => /f16|timestamp|subgroups/.test(each));
    const MiB = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
    return `${description}; ${driver ?? "driver unknown"}; Deno ${deno}; ${has.join(", ")}; ` +
      `buffers up to ${MiB(maxBufferSize)}, bindings up to ${MiB(maxStorageBufferBindingSize)}.` +
      (isSoftware ? "\n**A software adapter: its times say nothing of a card.**" : "");
  });
  const torch = versions.at(0);
  if (torch) lines.push(`PyTorch ${torch.torch}, CUDA ${torch.cuda ?? "none"}, on ${torch.card}.`);
  return lines.join("\n");
}

function ceilings(measurements: Measurement[]): string {
  const rows = measurements.map(({ what, engine, variant, gbPerSecond, tflops }) => [
    what === "copy" ? "copy on the card, GB/s read and written" : "matrix product, TFLOP/s",
    `${engine}, ${variant}`,
    Number(gbPerSecond ?? tflops).toPrecision(3),
  ]);
  return table(["ceiling", "by", "is"], rows);
}

/** One row for each way in which a network's step was computed. */
function steps(measurements: Measurement[], dispatches: Measurement[]): string {
  const key = ({ model, batch }: Measurement) => `${model}, batch ${batch}`;
  const usual = measurements.filter(({ every = AHEAD }) => every === AHEAD);
  const inOrder = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });
  const rows = [...new Set(usual.map(key))].toSorted(inOrder).flatMap((name) => {
    const here = usual.filter((each) => key(each) === name);
    const exact = here.filter(({ engine, variant, ms }) =>
      engine === "torch" && ms !== undefined && !String(variant).includes("tf32")
    );
    const best = Math.min(...exact.map(({ ms }) => ms as number));
    return here.map((each) => {
      const {
        engine,
        variant,
        ms,
        low,
        high,
        samples,
        cpuMs,
        memoryMB,
        firstStepS,
        error,
        choice,
      } = each;
      if (error) return [name, `${engine}, ${variant}`, String(error), "", "", "", "", "", "", ""];
      const isOurs = engine === "celgc" && choice === undefined;
      const count = isOurs
        ? dispatches.find((other) => key(other) === name)?.dispatches
        : undefined;
      return [
        name,
        `${engine}, ${variant}`,
        number(ms, 2),
        `${number(low, 2)} to ${number(high, 2)}`,
        number(1000 * (samples as number) / (ms as number), 0),
        Number.isFinite(best) ? number(best / (ms as number), 2) : "",
        number(cpuMs, 2),
        number(memoryMB, 0),
        number(firstStepS, 1),
        number(count, 0),
      ];
    });
  });
  const head = [
    "network",
    "by",
    "ms a step",
    "8 of 10",
    "samples/s",
    "times PyTorch's best in float32",
  ];
  return table([...head, "CPU ms", "card's MB", "1st step, s", "dispatches"], rows);
}

function readback(measurements: Measurement[]): string {
  const ours = measurements.filter(({ engine, variant }) =>
    engine === "celgc" && variant === "captured"
  );
  const rows = ours.map(({ model, batch, every, ms }) => [
    `${model}, batch ${batch}`,
    String(every),
    number(ms, 2),
  ]);
  const several = new Set(ours.map(({ every }) => every)).size > 1;
  return several ? table(["network", "steps between two fetches", "ms a step"], rows) : "";
}

/**
 * The losses of the first steps on the card beside the CPU's; of a choice of the engine beside those without it, on
 * the card.
 */
function losses(measurements: Measurement[]): string {
  const rows = measurements.flatMap((other) => {
    if (other.device !== "webgpu") return [];
    const { variant } = other, by = variant === undefined ? "cpu" : "webgpu";
    const reference = measurements.find((each) =>
      each.device === by && each.variant === undefined && each.model === other.model &&
      each.batch === other.batch
    );
    if (!reference) return [];
    const [theirs, ours] = [reference, other].map(({ losses }) => losses as (number | null)[]);
    // JSON has null for what is no number.
    const apart = theirs.map((loss, i) =>
      loss === null || ours[i] == null ? Infinity : Math.abs(ours[i] - loss) / Math.abs(loss)
    );
    const list = (values: (number | null)[]) =>
      values.map((loss) => loss?.toFixed(4) ?? "NaN").join(", ");
    const name = `${other.model}, batch ${other.batch}`, worst = Math.max(...apart);
    const how = variant ? `card, ${variant}` : "card";
    return [[
      name,
      `${by === "cpu" ? "CPU" : "card"}: ${list(theirs)}`,
      `${how}: ${list(ours)}`,
      `${worst.toExponential(1)}${worst <= AGREE ? "" : " **apart**"}`,
    ]];
  });
  return table(["losses of", "by", "beside", "largest difference, of the loss"], rows);
}

/** The round of ranks that share the card, with what each part of it takes of the whole. */
function ranks(measurements: Measurement[]): string {
  const [first] = measurements;
  if (!first) return "";
  const sorted = measurements.toSorted((a, b) => Number(a.ranks) - Number(b.ranks));
  const share = (part: unknown, all: unknown) => `${number(100 * Number(part) / Number(all), 2)} %`;
  const rows = sorted.map((each) => {
    const of = (part: string) => `${number(each[part], 2)} (${share(each[part], each.roundMs)})`;
    return [
      String(each.ranks),
      number(each.stepsPerSecond),
      number(each.roundMs),
      number(each.stepsMs),
      ...["readbackMs", "waitingMs", "exchangeMs", "uploadMs"].map(of),
      share(each.communicationShare, 1),
    ];
  });
  const head = [
    `ranks on the card: ${first.model}, batch ${first.batch}, I = ${first.interval}`,
    "steps/s in sum",
    "a round, ms",
    "of that steps, ms",
    "readback, ms",
    "waiting for other ranks, ms",
    "exchange, ms",
    "upload, ms",
    "all but the steps",
  ];
  const most = sorted.at(-1)!, communication = Number(most.communicationShare);
  const waiting = Number(most.waitingMs) / Number(most.roundMs);
  const verdict = communication < AIM ? "met" : `missed (${share(communication - waiting, 1)} \
without waiting for ranks that still compute)`;
  return `${table(head, rows)}\n\nCommunication with ${most.ranks} rank${
    most.ranks === 1 ? "" : "s"
  } on the card at I = ${most.interval}: ${share(communication, 1)} of the time; the aim, under ${
    share(AIM, 1)
  } with 8 ranks at I = 16, is ${
    most.ranks === 8 && most.interval === 16 ? verdict : "not measured"
  }.`;
}

function operators({ model, batch, operators }: Measurement): string {
  const list = Object.entries(operators as Record<string, { milliseconds: number; runs: number }>);
  const rows = list.map(([name, { milliseconds, runs }]) => [
    name,
    number(milliseconds, 3),
    number(runs, 0),
  ]);
  return table([`${model}, batch ${batch}: operator`, "ms a step", "runs"], rows);
}
