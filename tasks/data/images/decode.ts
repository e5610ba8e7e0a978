/**
 * From an image file to pixels: PNG, JPEG and WebP, told by their first bytes.
 *
 * @module
 */

import { loadJpeg, loadPng, loadWebp } from "../../../deps.ts";
import { decoding } from "../damaged.ts";

/** An image. */
export interface DecodedImage {
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** `[3, height, width]`: planes in the order red, green, blue, row major. */
  readonly planes: Uint8Array;
}

/** What pixels are decoded to: rows of pixels of 1 (grey), 2 (grey, alpha), 3 or 4 channels. */
interface Interleaved {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** A channel's value of full brightness. @default {255} */
  readonly full?: number;
  readonly data: ArrayLike<number>;
}

/** A format. */
interface Format {
  /** Whether a file begins as one of this format does. */
  readonly begins: (bytes: Uint8Array) => boolean;
  /** Whether it has an end: decoders may fill up with grey what is missing. */
  readonly isWhole: (bytes: Uint8Array) => boolean;
  readonly decode: (bytes: Uint8Array) => Promise<Interleaved>;
}

const FORMATS: readonly Format[] = [
  {
    begins: (bytes) => beginsWith(bytes, 0, "\x89PNG"),
    isWhole: () => true, // its decoder checks every part
    decode: decodePng,
  },
  {
    begins: (bytes) => beginsWith(bytes, 0, "\xff\xd8\xff"),
    isWhole: (bytes) => {
      const end = bytes.lastIndexOf(0xd9);
      return end > 0 && bytes[end - 1] === 0xff;
    },
    decode: async (bytes) => rgba(await (await loadJpeg())(bytes.slice().buffer)),
  },
  {
    begins: (bytes) => beginsWith(bytes, 0, "RIFF") && beginsWith(bytes, 8, "WEBP"),
    isWhole: ({ buffer, byteOffset, length }) =>
      length >= 12 && new DataView(buffer, byteOffset).getUint32(4, true) + 8 <= length,
    decode: async (bytes) => rgba(await (await loadWebp())(bytes.slice().buffer)),
  },
];

/**
 * Decodes an image file. Grey becomes three equal channels; what is transparent shows black behind it; 16 bits
 * are rounded to 8. Colour profiles and orientations that a file notes are passed over.
 *
 * @throws Error that says what is wrong with the file
 */
export async function decodeImage(bytes: Uint8Array): Promise<DecodedImage> {
  if (bytes.length === 0) throw new Error("it is empty");
  const format = FORMATS.find(({ begins }) => begins(bytes));
  if (!format) throw new Error("it is no PNG, JPEG or WebP file");
  if (!format.isWhole(bytes)) throw new Error("it is cut off");
  return toPlanes(await decoding("image", () => format.decode(bytes)));
}

function beginsWith(bytes: Uint8Array, at: number, text: string): boolean {
  return [...text].every((character, i) => bytes[at + i] === character.charCodeAt(0));
}

const rgba = ({ width, height, data }: ImageData): Interleaved => ({
  width,
  height,
  data,
  channels: 4,
});

async function decodePng(bytes: Uint8Array): Promise<Interleaved> {
  const { decode, convertIndexedToRgb } = await loadPng();
  const png = decode(bytes, { checkCrc: true });
  const { width, height, depth, palette } = png;
  if (palette) {
    return { width, height, data: convertIndexedToRgb(png), channels: palette[0].length };
  }
  const { data, channels } = png;
  if (depth >= 8) return { width, height, channels, data, full: 2 ** depth - 1 };
  return { width, height, channels, data: unpackBits(png), full: 2 ** depth - 1 };
}

/** Grey values of 1, 2 or 4 bits, whose rows begin at whole bytes. */
function unpackBits(
  { width, height, depth, data }: {
    width: number;
    height: number;
    depth: number;
    data: ArrayLike<number>;
  },
): Uint8Array {
  const values = new Uint8Array(width * height), row = Math.ceil(width * depth / 8);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth, byte = data[y * row + (bit >> 3)];
      values[y * width + x] = byte >> 8 - depth - bit % 8 & 2 ** depth - 1;
    }
  }
  return values;
}

function toPlanes({ width, height, channels, full = 255, data }: Interleaved): DecodedImage {
  const size = width * height, planes = new Uint8Array(3 * size);
  const grey = channels < 3, opaque = channels % 2 === 1;
  for (let i = 0; i < size; i++) {
    const at = i * channels, alpha = opaque ? 1 : data[at + channels - 1] / full;
    for (let channel = 0; channel < 3; channel++) {
      const value = data[at + (grey ? 0 : channel)];
      planes[channel * size + i] = Math.round(255 * alpha * value / full);
    }
  }
  return { width, height, planes };
}
