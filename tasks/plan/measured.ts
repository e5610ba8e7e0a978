/**
 * What the planner measures, as it is asked for and as it is found.
 *
 * @module
 */

import type { NetworkCost } from "../../runtime/collectives/allreduce_cost.ts";
import type { CodecCost } from "../../runtime/compression/cost.ts";
import type { Communication, Interval } from "../../optimizers/mod.ts";
import type { Options } from "../options/values.ts";

/** What is to be measured. */
export interface MeasureOptions {
  /** As resolved. */
  readonly options: Options;
  /** The algorithms whose steps are taken, one after the other. */
  readonly algorithms: readonly Options["algorithm"][];
  /** The intervals that will be predicted: steps of every kind that a round of these has are timed. */
  readonly intervals: readonly Interval[];
  /** Numbers of parts that will be predicted. Those that the network has too few parameters for are left out. */
  readonly fragments?: readonly number[];
  /** Codecs that will be predicted, by their names; "none" is none. */
  readonly codecs?: readonly string[];
}

/** How the gradients of a step are exchanged. */
export type GradientSync = Communication["gradients"];

/** Seconds of something that all ranks do at the same time. */
export interface OverRanks {
  /** Averaged over the ranks. */
  readonly mean: number;
  /** On the slowest rank. */
  readonly slowest: number;
}

/** An allreduce that was timed. */
export interface TimedAllreduce {
  /** Length of the buffer. */
  readonly floats: number;
  /** The median of some calls, on the slowest rank. */
  readonly seconds: number;
}

/** One of the parts of the weights that are averaged by themselves. */
export interface MeasuredPart {
  /** Floats of it that are trained. */
  readonly trained: number;
  /** Floats of running statistics that are averaged with them. */
  readonly statistics: number;
}

/** What this machine, or these machines, can do. */
export interface Measured {
  /** Where the graph ran: engine, version, hardware. */
  readonly device: string;
  /** Ranks that share the machine. */
  readonly ranks: number;
  /** The run that was asked for: steps of each rank, passes over the data by all of them together. */
  readonly run: { readonly steps: number; readonly epochs: number };
  /** Floats of the weights that are trained: what an exchange of gradients moves. */
  readonly parameters: number;
  /** Floats that a round averages: with running statistics, if those are averaged. */
  readonly shared: number;
  /** The parts by their number, for each `--fragments` above 1 that was asked for and that the network has. */
  readonly parts?: Readonly<Record<number, readonly MeasuredPart[]>>;
  /** One step with all that it does by itself, for each way to exchange gradients that was asked for. */
  readonly step: Readonly<Partial<Record<GradientSync, OverRanks>>>;
  /** A round's own work: the weights come from the device, are compared and go back. */
  readonly round: OverRanks;
  /**
   * The ranks' network by ping-pong: half a round trip, and what long messages achieve; null for a
   * single rank.
   */
  readonly network: NetworkCost | null;
  /**
   * Allreduces among those that take part in a round, in the order of their length. Where a link is calculated,
   * through sockets, as behind one.
   */
  readonly allreduce: readonly TimedAllreduce[];
  /** The work of the codecs that were asked for, by their names, on the slowest rank. */
  readonly codecs?: Readonly<Record<string, CodecCost>>;
}
