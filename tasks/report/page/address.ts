/**
 * What is looked at, as the part of the address behind its #: a link shows the same view.
 *
 * The axis stands first and by itself, as in `#seconds`; what is not as it begins follows, as in
 * `#seconds&smooth=3&hide=celgc I=4`.
 *
 * @module
 */

import type { PageData } from "./data.ts";
import type { AxisKey } from "../../logs/series.ts";

/** What an address says. */
export interface AddressedView {
  readonly axis: AxisKey;
  readonly logX: boolean;
  /** Least and greatest of each bin; null: as the page begins. */
  readonly range: boolean | null;
  /** Runs that differ in their seeds alone as one; null: as the page begins. */
  readonly seeds: boolean | null;
  readonly smooth: number;
  /** The runs that are left out: by their labels, seeds that are drawn as one by their group. */
  readonly hidden: readonly string[];
  readonly filter: string;
  /** Ids of the figures whose vertical axis was switched. */
  readonly logY: ReadonlyMap<string, boolean>;
  /** The column by which the table is sorted, from 1, negative for falling; 0: as it begins. */
  readonly sort: number;
  /** The run whose timeline is shown, by the same; "": the first. */
  readonly timeline: string;
}

/** Most points on each side over which lines can be averaged. */
export const MOST_SMOOTH = 20;

/** Reads the part of an address behind its #. What is not understood is left out. */
export function readAddress(hash: string, data: PageData): AddressedView {
  const [first, ...rest] = hash.replace(/^#/, "").split("&");
  const given = new Map<string, string[]>();
  for (const part of rest) {
    const [name, value = ""] = part.split(/=(.*)/s);
    given.set(name, [...given.get(name) ?? [], decode(value)]);
  }
  const one = (name: string) => given.get(name)?.[0] ?? "";
  const flag = (name: string) => given.has(name) ? one(name) !== "off" : null;
  const smooth = Math.round(Number(one("smooth"))), sort = Math.round(Number(one("sort")));
  return {
    axis: data.axes.find(({ key }) => key === first)?.key ?? data.axes[0].key,
    logX: flag("logx") ?? false,
    range: flag("range"),
    seeds: flag("seeds"),
    smooth: smooth >= 0 && smooth <= MOST_SMOOTH ? smooth : 0,
    hidden: given.get("hide") ?? [],
    filter: one("filter"),
    logY: new Map(
      (given.get("logy") ?? []).map((id) => [id.replace(/^-/, ""), !id.startsWith("-")]),
    ),
    sort: Number.isFinite(sort) ? sort : 0,
    timeline: one("timeline"),
  };
}

/** The part of the address from its # on. */
export function writeAddress(view: AddressedView): string {
  const parts: string[] = [view.axis];
  const add = (name: string, value?: string) =>
    parts.push(value === undefined ? name : `${name}=${encodeURIComponent(value)}`);
  if (view.logX) add("logx");
  if (view.range !== null) add("range", view.range ? "on" : "off");
  if (view.seeds !== null) add("seeds", view.seeds ? "on" : "off");
  if (view.smooth > 0) add("smooth", String(view.smooth));
  for (const label of view.hidden) add("hide", label);
  if (view.filter !== "") add("filter", view.filter);
  for (const [id, log] of view.logY) add("logy", log ? id : `-${id}`);
  if (view.sort !== 0) add("sort", String(view.sort));
  if (view.timeline !== "") add("timeline", view.timeline);
  return `#${parts.join("&")}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
