/**
 * The authors' binary version: files of records, the label (for CIFAR-100 the coarse, then the fine one) and
 * 3,072 bytes of pixels (red, green, blue planes, row major) each; the classes' names one a line.
 *
 * @module
 */

import { checkLabels, type CifarForm, filesIn } from "./form.ts";
import { IMAGE_BYTES } from "../image_data_set.ts";
import type { CifarKind } from "./kinds.ts";

const recordBytes = ({ binary }: CifarKind) => binary.labelBytes + IMAGE_BYTES;

/** The binary version. */
export const BINARY: CifarForm = {
  title: "the binary version",
  find: (names, { binary }) => filesIn(names, binary),

  count(bytes, kind) {
    const record = recordBytes(kind);
    if (bytes > 0 && bytes % record === 0) return bytes / record;
    const whole = Math.floor(bytes / record);
    throw new Error(
      `must be a file of whole records of ${record} bytes, at least one; found ${bytes} bytes, ${whole} ` +
        `records and ${
          bytes - whole * record
        } bytes over (an official file has a multiple of 10000 records, ` +
        `${10000 * record} bytes); the file is truncated or altered`,
    );
  },

  async check(set, name, kind) {
    BINARY.count!(await set.size(name), kind);
    using file = await Deno.open(set.pathOf(name));
    const first = new Uint8Array(kind.binary.labelBytes);
    await file.read(first);
    checkLabels([first.at(-1)!], kind);
  },

  images(bytes, kind) {
    const count = BINARY.count!(bytes.length, kind), record = recordBytes(kind);
    const before = kind.binary.labelBytes;
    const pixels = new Uint8Array(count * IMAGE_BYTES), labels = new Uint8Array(count);
    for (let r = 0, at = 0; r < count; r++, at += record) {
      labels[r] = bytes[at + before - 1];
      pixels.set(bytes.subarray(at + before, at + record), r * IMAGE_BYTES);
    }
    return Promise.resolve({ pixels, labels });
  },

  classes: (bytes) =>
    Promise.resolve(
      new TextDecoder().decode(bytes).split("\n").map((line) => line.trim())
        .filter((line) => line !== ""),
    ),
};
