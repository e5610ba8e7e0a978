/**
 * Which arrays are fed, under which names, and which is the target.
 *
 * @module
 */

import { DataError } from "../data_error.ts";
import type { ArraySplit } from "./array_source.ts";
import { brief } from "./csv.ts";

/** What of a data set of arrays is said by options. */
export interface ArrayChoice {
  /** Names of arrays or columns, `NAME` or `INPUT=NAME`, with commas; null: by what they are called. */
  readonly inputs: string | null;
  /** The name of the target, or several with commas; null: by what it is called. */
  readonly target: string | null;
}

/** What a network's file takes. */
export interface NetworkInput {
  readonly name: string;
  /** Whether of whole numbers. */
  readonly whole: boolean;
}

/** An input and the names of what it is fed. */
export interface ChosenInput extends NetworkInput {
  readonly from: readonly string[];
}

/** What is fed, and the names of the target. */
export interface Chosen {
  readonly inputs: readonly ChosenInput[];
  readonly target: readonly string[];
}

const TARGETS = ["y", "target", "targets", "label", "labels", "class", "classes"];
const INPUTS = ["x", "input", "inputs", "data", "features", "images", "image"];

/** Names in a message. */
const list = (names: readonly string[]) =>
  names.slice(0, 12).map(brief).join(", ") + (names.length > 12 ? ", …" : "");

/** The first of some known names that is among those there are, in whatever case. */
const known = (names: readonly string[], wanted: readonly string[]) =>
  wanted.flatMap((word) => names.filter((name) => name.toLowerCase() === word)).at(0);

/** Names in a list of an option. */
const namesIn = (text: string) => text.split(",").map((name) => name.trim());

/**
 * Chooses.
 *
 * @param network what the network's file takes; null for a built-in one, which takes one input of floats
 * @throws DataError that says what there is, where something is not
 */
export function choose(
  { place, names, columns }: ArraySplit,
  { inputs, target }: ArrayChoice,
  network: readonly NetworkInput[] | null,
): Chosen {
  const cannot = (why: string) =>
    new DataError(`cannot read the arrays: ${why}; ${place} has ${list(names)}`, { path: place });
  const check = (name: string, flag: string) => {
    if (names.includes(name)) return name;
    throw cannot(`${flag} names ${brief(name)}, which is not there`);
  };
  const what = columns ? "column" : "array";
  const found = known(names, TARGETS);
  if (target === null && found === undefined) {
    throw cannot(`say with --target which ${what} is to be predicted`);
  }
  const targets = target === null
    ? [found!]
    : namesIn(target).map((name) => check(name, "--target"));
  const others = names.filter((name) => !targets.includes(name));
  const given = inputs === null ? null : namesIn(inputs).map((entry) => {
    const at = columns || names.includes(entry) ? -1 : entry.indexOf("=");
    const name = check(at < 0 ? entry : entry.slice(at + 1), "--inputs");
    return { name: at < 0 ? name : entry.slice(0, at), from: name };
  });
  const twice = given?.find(({ from }) => targets.includes(from));
  if (twice) throw cannot(`${brief(twice.from)} is the target, and cannot be an input as well`);
  if ((given ?? others).length === 0) {
    throw cannot(`nothing is left to predict ${list(targets)} from`);
  }
  const several = network !== null && network.length > 1 ? network : null;
  if (columns) {
    if (several) {
      throw cannot(
        `a table feeds one input, and the network takes ${
          list(several.map(({ name }) => name))
        }: ` +
          "give an .npz file with an array for each",
      );
    }
    const from = given?.map(({ from }) => from) ?? others, { whole = false } = network?.[0] ?? {};
    return { inputs: [{ name: "input", whole, from }], target: targets };
  }
  if (several) {
    const chosen = several.flatMap(({ name, whole }) => {
      const from = given
        ? given.find((each) => each.name === name)?.from
        : names.find((each) => each === name);
      return from === undefined ? [] : [{ name, whole, from: [from] }];
    });
    const left = given?.find(({ name }) => !chosen.some((each) => each.name === name));
    if (left) {
      throw cannot(
        `--inputs feeds ${brief(left.name)}, which is none of the network's inputs, ` +
          `${list(several.map(({ name }) => name))}`,
      );
    }
    if (chosen.length === 1) {
      return { inputs: [{ ...chosen[0], name: "input" }], target: targets };
    }
    if (chosen.length > 0) return { inputs: chosen, target: targets };
    throw cannot(
      `the network takes ${
        list(several.map(({ name }) => name))
      }: give arrays of these names, or say ` +
        "which are with --inputs INPUT=NAME,…",
    );
  }
  const one = given ?? (others.length === 1 ? [{ from: others[0] }] : []);
  const alone = given ? undefined : known(others, INPUTS);
  if (one.length > 1) throw cannot("the network takes one input: name one with --inputs");
  const from = one[0]?.from ?? alone;
  if (from === undefined) throw cannot("say with --inputs which array is fed");
  return {
    inputs: [{ name: "input", whole: network?.[0].whole ?? false, from: [from] }],
    target: targets,
  };
}
