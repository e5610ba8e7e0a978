import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { loadPng } from "../../../../deps.ts";
import { DataError } from "../../../../tasks/data/data_error.ts";
import { decodeImage } from "../../../../tasks/data/images/decode.ts";
import {
  checkImageFolders,
  imageFolderFiles,
  imageFoldersShape,
  loadImageFolders,
} from "../../../../tasks/data/images/image_folders.ts";
import { resizeAndCrop } from "../../../../tasks/data/images/resize.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const { encode } = await loadPng();

/** Red 20x, green 30y, blue 200 − 10x, 12 × 8 pixels: as other programs have encoded it. */
const JPEG =
  "/9j/4AAQSkZJRgABAQAAAQABAAD/2wCEAAICAgICAgICAgIDAwIDAwQDAwMDBAYEBAQEBAYJBQYFBQYFCQgJBwcHCQgOCwkJCw4QDQwNEBMRERMYFxgfHyoBAgICAgICAgICAgMDAgMDBAMDAwMEBgQEBAQEBgkFBgUFBgUJCAkHBwcJCA4LCQkLDhANDA0QExERExgXGB8fKv/CABEIAAgADAMBEQACEQEDEQH/xAApAAEBAAAAAAAAAAAAAAAAAAAHCAEBAQEAAAAAAAAAAAAAAAAACAcJ/9oADAMBAAIQAxAAAAAVSEloIOaSf//EABwQAAEDBQAAAAAAAAAAAAAAAAAIJaIDBQYkM//aAAgBAQABPwDE0vcm6JbUv6lNuif/xAAdEQABAgcAAAAAAAAAAAAAAAAHACQDBSU0QVGh/9oACAECAQE/ACYW7hzvKn5bqcZ11f/EAB0RAAECBwAAAAAAAAAAAAAAAAcAJAQGJTRCUqL/2gAIAQMBAT8ADhytXmuSlc50eGedL//Z";
const WEBP = "UklGRiwAAABXRUJQVlA4TCAAAAAvC8ABAJmM6H9sovDR/4CQgLDE/6WSAUMxyDEBSFWWAA==";
const bytesOf = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** A pixel of that image. */
const drawn = (channel: number, x: number, y: number) => [20 * x, 30 * y, 200 - 10 * x][channel];

/** A PNG file of one colour. */
const plain = (width: number, height: number, colour: readonly number[]) =>
  encode({
    width,
    height,
    channels: 3,
    data: Uint8Array.from({ length: 3 * width * height }, (_, i) => colour[i % 3]),
  });

async function write(path: string, bytes: Uint8Array): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeFile(path, bytes);
}

Deno.test("PNG, JPEG and WebP files come to the pixels that were encoded", async () => {
  const png = (channels: number, data: Uint8Array | Uint16Array, depth: 8 | 16 = 8) =>
    encode({ width: 12, height: 8, channels, depth, data });
  const interleaved = (
    channels: number,
    value: (channel: number, x: number, y: number) => number,
  ) =>
    Array.from({ length: 12 * 8 * channels }, (_, i) => {
      const pixel = Math.floor(i / channels);
      return value(i % channels, pixel % 12, Math.floor(pixel / 12));
    });
  const files: [string, Uint8Array, number][] = [
    ["JPEG", bytesOf(JPEG), 4],
    ["WebP", bytesOf(WEBP), 0],
    ["PNG", png(3, Uint8Array.from(interleaved(3, drawn))), 0],
    ["PNG of 16 bits", png(3, Uint16Array.from(interleaved(3, drawn), (v) => 257 * v), 16), 0],
    [
      "opaque PNG",
      png(4, Uint8Array.from(interleaved(4, (c, x, y) => c === 3 ? 255 : drawn(c, x, y)))),
      0,
    ],
  ];
  for (const [name, file, tolerance] of files) {
    const { width, height, planes } = await decodeImage(file);
    assert.deepEqual([width, height], [12, 8], name);
    for (let i = 0; i < planes.length; i++) {
      const pixel = i % 96, wanted = drawn(Math.floor(i / 96), pixel % 12, Math.floor(pixel / 12));
      assert.ok(
        Math.abs(planes[i] - wanted) <= tolerance,
        `${name}, ${i}: ${planes[i]}, ${wanted}`,
      );
    }
  }
  // Grey is all channels; half transparent is half black.
  const grey = await decodeImage(png(1, Uint8Array.from(interleaved(1, (_, x) => 20 * x))));
  assert.deepEqual([...grey.planes.subarray(96, 108)], [...grey.planes.subarray(0, 12)]);
  assert.equal(grey.planes[5], 100);
  const half = await decodeImage(png(2, Uint8Array.from(interleaved(2, (c) => c ? 128 : 200))));
  assert.equal(half.planes[7], Math.round(200 * 128 / 255));
});

Deno.test("PNG files with palettes and with less than 8 bits come to their colours", async () => {
  const chunk = (type: string, data: Uint8Array) => {
    const bytes = new Uint8Array(12 + data.length), view = new DataView(bytes.buffer);
    view.setUint32(0, data.length);
    bytes.set(new TextEncoder().encode(type), 4);
    bytes.set(data, 8);
    view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
    return bytes;
  };
  /** A file of 2 × 2 pixels, written by its specification (W3C, Portable Network Graphics). */
  const png = (depth: number, type: number, rows: number[][], extra: Uint8Array[] = []) => {
    const head = Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 2, depth, type, 0, 0, 0);
    const data = deflateSync(Uint8Array.from(rows.flatMap((row) => [0, ...row])));
    const parts = [
      chunk("IHDR", head),
      ...extra,
      chunk("IDAT", data),
      chunk("IEND", Uint8Array.of()),
    ];
    return Uint8Array.from([
      137,
      80,
      78,
      71,
      13,
      10,
      26,
      10,
      ...parts.flatMap((part) => [...part]),
    ]);
  };
  const palette = chunk("PLTE", Uint8Array.of(10, 20, 30, 100, 110, 120));
  const clear = chunk("tRNS", Uint8Array.of(0, 255));
  const crossed = [[0b01000000], [0b10000000]];
  const cases: [Uint8Array, number[]][] = [
    [png(1, 3, crossed, [palette]), [10, 100, 100, 10, 20, 110, 110, 20, 30, 120, 120, 30]],
    [png(8, 3, [[0, 1], [1, 0]], [palette, clear]), [
      0,
      100,
      100,
      0,
      0,
      110,
      110,
      0,
      0,
      120,
      120,
      0,
    ]],
    [png(1, 0, crossed), [0, 255, 255, 0, 0, 255, 255, 0, 0, 255, 255, 0]],
    [png(4, 0, [[0x0f], [0x84]]), [0, 255, 136, 68, 0, 255, 136, 68, 0, 255, 136, 68]],
  ];
  for (const [file, planes] of cases) {
    assert.deepEqual([...(await decodeImage(file)).planes], planes);
  }
});

Deno.test("images are scaled as a continuous picture is, and cropped in the middle", () => {
  // A picture that is linear in x and y stays so: away from the edges, pixel centres say what it becomes.
  for (const [width, height] of [[40, 24], [24, 40], [97, 61], [16, 16], [9, 8], [8, 31]]) {
    const planes = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
      const at = i % (width * height), x = at % width, y = Math.floor(at / width);
      return Math.round(
        [240 * (x + 0.5) / width, 240 * (y + 0.5) / height, 77][Math.floor(i / width / height)],
      );
    });
    const side = 16, out = resizeAndCrop({ width, height, planes }, side);
    assert.equal(out.length, 3 * side * side);
    const scale = side / Math.min(width, height);
    const [w, h] = [
      Math.max(side, Math.round(width * scale)),
      Math.max(side, Math.round(height * scale)),
    ];
    for (let y = 2; y < side - 2; y++) {
      for (let x = 2; x < side - 2; x++) {
        const at = y * side + x;
        const wanted = [
          240 * (Math.floor((w - side) / 2) + x + 0.5) / w,
          240 * (Math.floor((h - side) / 2) + y + 0.5) / h,
          77,
        ];
        for (const channel of [0, 1, 2]) {
          const found = out[channel * side * side + at];
          assert.ok(
            Math.abs(found - wanted[channel]) <= 1.6,
            `${width}×${height} ${x},${y}: ${found}, ${wanted}`,
          );
        }
      }
    }
  }
});

Deno.test("folders are classes; train, test and valid are taken as they are, else a share is drawn", async () => {
  await using folder = await temporaryFolder();
  const options = { imageSize: 8, testFraction: 0.25 };
  const flat = join(folder.path, "flat"), split = join(folder.path, "split");
  for (let i = 0; i < 8; i++) {
    await write(join(flat, `b/${i}.png`), plain(8, 8, [i, 0, 0]));
    await write(join(flat, `a/${i}.PNG`), plain(9, 12, [100 + i, 50, 0]));
  }
  await write(join(flat, "a/notes.txt"), new Uint8Array(3));
  await write(join(flat, ".hidden/x.png"), new Uint8Array(3));
  assert.deepEqual(await imageFoldersShape(flat, options), { side: 8, classes: 2 });
  assert.equal((await imageFolderFiles(flat)).length, 16);
  await checkImageFolders(flat, options);
  const { train, test } = await loadImageFolders(flat, options);
  assert.deepEqual([train.count, test.count, train.classes], [12, 4, ["a", "b"]]);
  // Each image once, under its own label.
  const reds = [train, test].flatMap(({ pixels, labels, count }) =>
    Array.from({ length: count }, (_, n) => {
      const red = pixels[n * 192];
      assert.equal(labels[n], red >= 100 ? 0 : 1);
      return red;
    })
  );
  assert.deepEqual(reds.sort((a, b) => a - b), [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    100,
    101,
    102,
    103,
    104,
    105,
    106,
    107,
  ]);
  // Normalisation is the training images'.
  const mean = train.pixels.reduce((sum, _, i) => sum + (i % 192 < 64 ? train.pixels[i] : 0), 0) /
    12 / 64 / 255;
  assert.ok(Math.abs(train.mean[0] - mean) < 1e-12 && train.mean[2] === 0);
  assert.deepEqual(test.mean, train.mean);
  assert.deepEqual((await loadImageFolders(flat, options)).test.pixels, test.pixels);

  for (const part of ["train", "test", "val"]) {
    for (const name of ["cat", "dog"]) {
      await write(join(split, part, name, "1.png"), plain(8, 8, [part.length, name.length, 9]));
    }
  }
  const divided = await loadImageFolders(split, options);
  assert.deepEqual([divided.train.count, divided.test.count, divided.valid?.count], [2, 2, 2]);
  assert.deepEqual([divided.train.pixels[0], divided.test.pixels[0], divided.valid?.pixels[0]], [
    5,
    4,
    3,
  ]);
  await Deno.remove(join(split, "test"), { recursive: true });
  const without = await loadImageFolders(split, options);
  assert.deepEqual([without.test.pixels[0], without.valid], [3, undefined]);
});

Deno.test("broken files, lone classes and classes that were never learnt are named in one line", async () => {
  await using folder = await temporaryFolder();
  const options = { imageSize: 8, testFraction: 0.5 };
  const refused = async (pattern: RegExp) => {
    await assert.rejects(loadImageFolders(folder.path, options), (error: unknown) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, pattern);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  };
  await refused(/a folder of PNG, JPEG or WebP files for each class is required.*found none/);
  await write(join(folder.path, "a/1.png"), plain(8, 8, [1, 2, 3]));
  await refused(/found one class, a$/);
  await write(join(folder.path, "b/1.png"), plain(8, 8, [1, 2, 3]).subarray(0, 50));
  await refused(/cannot read the image .*\/b\/1\.png: .* \(50 bytes\); replace or remove the file/);
  const altered = plain(8, 8, [1, 2, 3]);
  altered[altered.length - 20] ^= 255;
  for (
    const [bytes, why] of [
      [bytesOf(JPEG).subarray(0, 300), /it is cut off/],
      [bytesOf(WEBP).subarray(0, 40), /it is cut off/],
      [new Uint8Array(), /it is empty/],
      [new TextEncoder().encode("<html>"), /it is no PNG, JPEG or WebP file/],
      [altered, /\/b\/1\.png: /],
    ] as const
  ) {
    await write(join(folder.path, "b/1.png"), bytes);
    await refused(why);
  }
  await write(join(folder.path, "b/1.png"), plain(8, 8, [1, 2, 3]));
  await loadImageFolders(folder.path, options);
  // A class of them alone would be none.
  await write(join(folder.path, "c/1.HEIC"), new Uint8Array(9));
  await refused(/c\/1\.HEIC is no PNG, JPEG or WebP file: convert or remove/);
  await write(join(folder.path, "a/2.gif"), new Uint8Array(9));
  await refused(/a\/2\.gif is no PNG, JPEG or WebP file, the first of 2 such files: convert/);
  await Deno.remove(join(folder.path, "c"), { recursive: true });
  await Deno.rename(join(folder.path, "a/2.gif"), join(folder.path, "a/._2.gif"));
  await loadImageFolders(folder.path, options);
  for (const name of ["train/x/1", "train/y/1", "test/z/1"]) {
    await write(join(folder.path, `${name}.png`), plain(8, 8, [1, 2, 3]));
  }
  await refused(/test\/z\/1\.png is of a class, z, of which train\/ has no image/);
  await write(join(folder.path, "test/x/2.tif"), new Uint8Array(9));
  await refused(/test\/x\/2\.tif is no PNG, JPEG or WebP file/);
  await Deno.remove(join(folder.path, "test"), { recursive: true });
  // Of what is beside train/ nothing is read.
  await write(join(folder.path, "figures/1.gif"), new Uint8Array(9));
  await loadImageFolders(folder.path, options);
  await assert.rejects(
    loadImageFolders(join(folder.path, "train"), { ...options, imageSize: 65_536 }),
    /give a smaller --image-size/,
  );
});
