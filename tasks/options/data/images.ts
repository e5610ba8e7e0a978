/** The part of the table of options that is about images. */

import { formatAugmentation, parseAugmentation } from "../../data/images/augmentation.ts";
import { GROUPS, integer, real, type Table, text } from "../kinds.ts";
import type { ImageOptions } from "../values.ts";

const { DATA } = GROUPS;

/** How images are read. */
export const IMAGE_OPTIONS: Table<ImageOptions> = {
  imageSize: integer({
    flag: "--image-size",
    group: DATA,
    help:
      "width and height that every image gets (task images): the shorter edge is scaled to it, " +
      "the middle of the longer one taken",
    unit: "pixels",
    from: 8,
    to: 1024,
    default: null,
    defaultText: "those of the network's file, else 32",
  }),
  augment: text({
    flag: "--augment",
    group: DATA,
    help: "how training images are changed by chance: none, flip (left to right), crop (of the " +
      "image in a black border of an eighth of its edge) or crop:N (of N pixels), or several",
    default: "flip,crop",
    placeholder: "rule,…",
    commas: true,
    normalise: (rule) => formatAugmentation(parseAugmentation(rule)),
  }),
  testFraction: real({
    flag: "--test-fraction",
    group: DATA,
    help:
      "share of the data that is the test set where the data have none of their own: drawn, the " +
      "same for every seed, of images and arrays; the end of a text (tasks images, arrays and text)",
    over: 0,
    below: 1,
    default: 0.2,
    defaultText: "0.2; 0.05 on text",
  }),
};
