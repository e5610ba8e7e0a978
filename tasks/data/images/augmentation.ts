/**
 * How training images are changed by chance, as a rule in words.
 *
 * @module
 */

/** A rule. */
export interface Augmentation {
  /** Whether an image is mirrored left to right with probability 1/2. */
  readonly flip: boolean;
  /** Pixels of black on each side before a crop; 0: none; null: an eighth of the edge. */
  readonly crop: number | null;
}

/** Reads `none`, or some of `flip` and `crop` or `crop:N`, separated by commas. Throws RangeError. */
export function parseAugmentation(text: string): Augmentation {
  let flip = false, crop: number | null = 0;
  const parts = text.split(",").map((part) => part.trim()), seen = new Set<string>();
  for (const part of parts) {
    const [, digits] = /^crop:(\d{1,4})$/.exec(part) ?? [];
    const kind = digits === undefined ? part : "crop";
    if (
      seen.has(kind) || !["none", "flip", "crop"].includes(kind) ||
      kind === "none" && parts.length > 1
    ) {
      throw new RangeError(
        `must be none, or flip and crop or crop:N, separated by commas, not "${text}"`,
      );
    }
    seen.add(kind);
    if (kind === "flip") flip = true;
    if (kind === "crop") crop = digits === undefined ? null : Number(digits);
  }
  return { flip, crop };
}

/** The text that {@linkcode parseAugmentation} reads. */
export function formatAugmentation({ flip, crop }: Augmentation): string {
  const parts = [flip ? "flip" : "", crop === null ? "crop" : crop > 0 ? `crop:${crop}` : ""];
  return parts.filter((part) => part !== "").join(",") || "none";
}

/**
 * A rule as it is for images of a side.
 *
 * @throws RangeError when the border is wider than the image
 */
export function augmentationOf(text: string, side: number): { flip: boolean; crop: number } {
  const { flip, crop } = parseAugmentation(text), pixels = crop ?? Math.round(side / 8);
  if (pixels <= side) return { flip, crop: pixels };
  throw new RangeError(`--augment crop:${pixels} is wider than the images, ${side} pixels`);
}
