/**
 * The Hub's form: parquet files, `train*.parquet` and `test*.parquet`, with an image file in each row, in the
 * column `img` or `image`, and its label in another.
 *
 * @module
 */

import { openParquet } from "../../parquet/parquet.ts";
import { IMAGE_BYTES, IMAGE_SIDE } from "../image_data_set.ts";
import { decodeImage } from "../decode.ts";
import { checkLabels, type CifarForm } from "./form.ts";

const IMAGE_COLUMNS = ["img", "image"];

/** Parquet files. */
export const PARQUET: CifarForm = {
  title: "the Hub's parquet files",

  find(names) {
    const of = (split: string) =>
      names.filter((name) => new RegExp(`(^|/)${split}[^/]*\\.parquet$`).test(name));
    const train = of("train");
    return train.length === 0 ? null : { train, test: of("test"), names: null };
  },

  async images(bytes, kind) {
    const file = await openParquet(bytes);
    const column = (wanted: readonly string[]) => {
      const name = wanted.find((name) => file.names.includes(name));
      if (name !== undefined) return name;
      throw new Error(`must have a column ${wanted.join(" or ")}, found ${file.names.join(", ")}`);
    };
    const image = column(IMAGE_COLUMNS), label = column(kind.labelColumns);
    const images = await file.column([image]) ?? await file.column([image, "bytes"]);
    const labels = (await file.column([label]))?.map((value) =>
      typeof value === "number" ? value : NaN
    );
    if (!images || !labels) throw new Error(`must have files in ${image} and numbers in ${label}`);
    checkLabels(labels, kind);
    const pixels = new Uint8Array(images.length * IMAGE_BYTES);
    for (const [at, file] of images.entries()) {
      if (!(file instanceof Uint8Array)) throw new Error(`has no image file in row ${at}`);
      const decoded = await decodeImage(file).catch((cause) => {
        throw new Error(`has an image that is broken in row ${at}: ${cause.message}`, { cause });
      });
      if (decoded.width !== IMAGE_SIDE || decoded.height !== IMAGE_SIDE) {
        throw new Error(
          `has an image of ${decoded.width} × ${decoded.height} pixels in row ${at}, not ` +
            `${IMAGE_SIDE} × ${IMAGE_SIDE}`,
        );
      }
      pixels.set(decoded.planes, at * IMAGE_BYTES);
    }
    return { pixels, labels: Uint8Array.from(labels) };
  },

  classes: () => Promise.resolve([]),
};
