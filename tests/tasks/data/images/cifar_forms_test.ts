/** CIFAR in the forms that people hold, all written from the same few records. */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { checkCifar, cifarFiles, loadCifar } from "../../../../tasks/data/images/cifar/cifar.ts";
import { CIFAR10, CIFAR100, type CifarKind } from "../../../../tasks/data/images/cifar/kinds.ts";
import { DataError } from "../../../../tasks/data/data_error.ts";
import { loadParquetWriter, loadPng } from "../../../../deps.ts";
import { IMAGE_BYTES } from "../../../../tasks/data/images/image_data_set.ts";
import { hasTorch, PYTHON, torchNote } from "../../../_helpers/peers/python.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

/** Records in the binary layout whose bytes tell the file, the record and the place. */
function records(kind: CifarKind, file: number, count: number): Uint8Array<ArrayBuffer> {
  const { labelBytes } = kind.binary, size = labelBytes + IMAGE_BYTES;
  const bytes = new Uint8Array(count * size);
  for (let r = 0; r < count; r++) {
    for (let i = 0; i < IMAGE_BYTES; i++) {
      bytes[r * size + labelBytes + i] = (i * 2654435761 + file * 977 + r * 131) >>> 13;
    }
    bytes[r * size + labelBytes - 1] = (file + 7 * r) % kind.classes.length;
    if (labelBytes === 2) bytes[r * size] = 3; // the coarse label
  }
  return bytes;
}

/** Writes the binary version to a folder; returns the paths of its training and its test file. */
async function writeBinary(kind: CifarKind, folder: string): Promise<[string, string]> {
  await Deno.mkdir(folder);
  const { test } = kind.binary, train = kind === CIFAR10 ? "data_batch_1.bin" : "train.bin";
  await Deno.writeFile(join(folder, train), records(kind, 1, 7));
  await Deno.writeFile(join(folder, test), records(kind, 2, 3));
  return [join(folder, train), join(folder, test)];
}

/** Writes the Hub's form, as its viewer has it: images as structs of a PNG file and a path. */
async function writeParquet(
  kind: CifarKind,
  folder: string,
  binary: readonly string[],
): Promise<void> {
  const { parquetWriteBuffer } = await loadParquetWriter(), { encode } = await loadPng();
  const { labelBytes } = kind.binary, size = labelBytes + IMAGE_BYTES;
  await Deno.mkdir(folder, { recursive: true });
  for (const [at, split] of ["train", "test"].entries()) {
    const bytes = await Deno.readFile(binary[at]), images = [], labels = [];
    for (let from = 0; from < bytes.length; from += size) {
      const planes = bytes.subarray(from + labelBytes, from + size);
      const data = Uint8Array.from(
        { length: IMAGE_BYTES },
        (_, i) => planes[i % 3 * 1024 + Math.floor(i / 3)],
      );
      images.push(encode({ width: 32, height: 32, data, channels: 3 }));
      labels.push(BigInt(bytes[from + labelBytes - 1]));
    }
    const column = kind === CIFAR10 ? "label" : "fine_label";
    const written = parquetWriteBuffer({
      schema: [
        { name: "root", num_children: 2 },
        { name: "img", num_children: 2, repetition_type: "OPTIONAL" },
        { name: "bytes", type: "BYTE_ARRAY", repetition_type: "OPTIONAL" },
        { name: "path", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
        { name: column, type: "INT64", repetition_type: "OPTIONAL" },
      ],
      columnData: [
        { name: "img", data: images.map((bytes) => ({ bytes, path: null })) },
        { name: column, data: labels },
      ],
    });
    await Deno.writeFile(join(folder, `${split}-00000-of-00001.parquet`), new Uint8Array(written));
  }
}

for (const kind of [CIFAR10, CIFAR100]) {
  Deno.test({
    name: `${kind.title} has the same pixels and labels in every form${torchNote}`,
    ignore: !hasTorch,
    async fn() {
      await using folder = await temporaryFolder();
      const binary = await writeBinary(kind, join(folder.path, "binary"));
      const script = new URL("_cifar_forms.py", import.meta.url).pathname;
      const args = [script, ...binary, folder.path, kind.task];
      const python = await new Deno.Command(PYTHON, { args }).output();
      assert.ok(python.success, new TextDecoder().decode(python.stderr));
      await writeParquet(kind, join(folder.path, "hub/plain_text"), binary);
      const tar = ["-czf", "binary.tar.gz", "binary"];
      assert.ok((await new Deno.Command("tar", { args: tar, cwd: folder.path }).output()).success);
      // An archive that has been laid into a folder, and nothing else in it.
      await Deno.mkdir(join(folder.path, "held"));
      await Deno.copyFile(join(folder.path, "python2.tar.gz"), join(folder.path, "held/cifar.tgz"));

      const expected = await loadCifar(kind, join(folder.path, "binary"));
      assert.equal(expected.train.count, 7);
      assert.deepEqual([...expected.test.labels], [2, 9, 16].map((n) => n % kind.classes.length));
      assert.deepEqual(
        expected.train.pixels.subarray(0, 99),
        records(kind, 1, 1).subarray(kind.binary.labelBytes).subarray(0, 99),
      );
      const pythons = ["python2", "python3-2", "python3-4", "python3-5"];
      const forms = [
        ...pythons.flatMap((name) => [name, `${name}.tar.gz`, `${name}.zip`]),
        ...["binary.tar.gz", "held", "held/cifar.tgz", "hub", "hub/plain_text"],
      ];
      for (const form of forms) {
        const place = join(folder.path, form);
        await checkCifar(kind, place);
        const { train, test } = await loadCifar(kind, place);
        for (const [set, wanted] of [[train, expected.train], [test, expected.test]]) {
          assert.deepEqual(set.labels, wanted.labels, form);
          assert.ok(set.pixels.every((value, i) => value === wanted.pixels[i]), form);
          assert.deepEqual([set.name, set.count, set.classes], [
            wanted.name,
            wanted.count,
            kind.classes,
          ]);
        }
        for (const path of await cifarFiles(kind, place)) assert.ok((await Deno.stat(path)).isFile);
      }
    },
  });
}

Deno.test("a file of another form that is broken, altered or dangerous is named with a way out", async () => {
  await using folder = await temporaryFolder();
  const inner = join(folder.path, "cifar-10-batches-py"), file = join(inner, "data_batch_1");
  await Deno.mkdir(inner);
  const refused = async (place: string, ...parts: RegExp[]) => {
    for (const read of [checkCifar, loadCifar]) {
      await assert.rejects(read(CIFAR10, place), (error: unknown) => {
        assert.ok(error instanceof DataError, String(error));
        for (const part of [/^cannot read CIFAR-10: /, /--download/, ...parts]) {
          assert.match(error.message, part);
        }
        assert.doesNotMatch(error.message, /\n/);
        return true;
      });
    }
  };
  await Deno.writeFile(file, new Uint8Array([0x80, 2, 0x7d]));
  await refused(folder.path, /test_batch is required, but it does not exist/);
  await Deno.writeFile(join(inner, "test_batch"), new Uint8Array([0x80, 2, 0x7d]));
  await refused(folder.path, /data_batch_1 cannot be unpickled: Unexpected end of file; give/);
  // os.system("id"), as a pickle would call it.
  await Deno.writeTextFile(file, "cos\nsystem\n(S'id'\ntR.");
  await refused(folder.path, /data_batch_1 cannot be unpickled: asks for os\.system/);
  await Deno.writeTextFile(file, "}.");
  await refused(folder.path, /must have an array "data", found nothing/);
  const archive = join(folder.path, "cifar.tar.gz");
  await Deno.writeFile(archive, new Uint8Array([0x1f, 0x8b, 8, 0, 1, 2, 3]));
  await refused(archive, /cifar\.tar\.gz cannot be unpacked/);
  const parquet = join(folder.path, "hub");
  await Deno.mkdir(parquet);
  await Deno.writeTextFile(join(parquet, "train.parquet"), "PAR1 and no more");
  await refused(parquet, /a test file is required/);
  await Deno.writeTextFile(join(parquet, "test.parquet"), "PAR1 and no more");
  await refused(parquet, new RegExp(`${dirname(parquet)}/hub/train\\.parquet `));
});
