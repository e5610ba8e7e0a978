/** A process that makes one training step after another, when it is told to, and what it measured. */

import { createInterface } from "node:readline";
import { Readable } from "node:stream";

/** One step of a contender. */
export interface Step {
  readonly milliseconds: number;
  /** Time on the processor, which other load lengthens less. */
  readonly cpuMilliseconds: number;
  /** The most memory the process has had so far. */
  readonly megabytes: number;
}

/** What a contender says when its first step is done. */
interface Greeting {
  readonly description: string;
  /** In its graph, if it has one. */
  readonly nodes?: number;
}

/** The middle of a list; the mean of the two in the middle. */
export function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/**
 * Speaks with a program that writes a {@linkcode Greeting} as a line of JSON, then for each line it reads a
 * {@linkcode Step}.
 */
export class Contender {
  readonly #steps: Step[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncIterator<string>;
  readonly #start = performance.now();
  #greeting: Greeting = { description: "a contender that has not yet begun" };
  #firstStep = NaN;

  constructor(command: string, args: readonly string[]) {
    this.#child = new Deno.Command(command, { args: [...args], stdin: "piped", stdout: "piped" })
      .spawn();
    this.#writer = this.#child.stdin.getWriter();
    const input = Readable.fromWeb(this.#child.stdout as never);
    this.#lines = createInterface({ input })[Symbol.asyncIterator]();
  }

  async #line<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`cannot go on: ${this.#greeting.description} ended`);
    return JSON.parse(value);
  }

  /** Waits for the first step. */
  async begin(): Promise<void> {
    this.#greeting = await this.#line();
    this.#firstStep = (performance.now() - this.#start) / 1000;
  }

  /** One step; kept unless it is to warm up. */
  async step(keep: boolean): Promise<void> {
    await this.#writer.write(new TextEncoder().encode("\n"));
    const step = await this.#line<Step>();
    if (keep) this.#steps.push(step);
  }

  /** Ends the process and returns what else it prints. */
  async end(): Promise<string> {
    await this.#writer.close();
    const { value } = await this.#lines.next();
    await this.#child.status;
    return value ?? "";
  }

  /** Of the median step. */
  get milliseconds(): number {
    return median(this.#steps.map(({ milliseconds }) => milliseconds));
  }

  /** Of the median step. */
  get cpuMilliseconds(): number {
    return median(this.#steps.map(({ cpuMilliseconds }) => cpuMilliseconds));
  }

  /** A line of the table. */
  row(samplesPerStep: number): string[] {
    const times = this.#steps.map(({ milliseconds }) => milliseconds);
    const { description, nodes } = this.#greeting;
    return [
      description,
      (samplesPerStep / this.milliseconds * 1000).toFixed(1),
      this.milliseconds.toFixed(0),
      `${Math.min(...times).toFixed(0)}–${Math.max(...times).toFixed(0)}`,
      this.cpuMilliseconds.toFixed(0),
      this.#firstStep.toFixed(1),
      this.#steps.at(-1)!.megabytes.toFixed(0),
      nodes === undefined ? "" : String(nodes),
    ];
  }
}
