/** The part of the table of options that is about arrays. */

import { choice, GROUPS, type Table, text } from "../kinds.ts";
import type { ArrayTaskOptions } from "../values.ts";

const { DATA } = GROUPS;

/** How arrays are read. */
export const ARRAY_OPTIONS: Table<ArrayTaskOptions> = {
  inputs: text({
    flag: "--inputs",
    group: DATA,
    help:
      "arrays, or columns of a table, that are fed (task arrays), NAME,…; to a network of several " +
      "inputs INPUT=NAME,…",
    default: null,
    defaultText:
      "x of arrays, or those with the names of the network's inputs; else all but the target",
    placeholder: "name,…",
    commas: true,
  }),
  target: text({
    flag: "--target",
    group: DATA,
    help:
      "array, or column of a table, that is predicted (task arrays); several columns of amounts with " +
      "commas. Texts, truth values and up to 100 different whole numbers are classes, other numbers " +
      "amounts, unless --loss says so",
    default: null,
    defaultText: "y, target, label or class",
    placeholder: "name",
    commas: true,
  }),
  standardise: choice({
    flag: "--standardise",
    group: DATA,
    help:
      "what gets the mean 0 and the deviation 1, measured from the training data (task arrays); all " +
      "has the amounts that are predicted among it",
    choices: ["inputs", "all", "none"],
    default: "inputs",
  }),
};
