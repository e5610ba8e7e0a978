/**
 * Parquet files of another writer's (the Rust implementation, arrow-rs) that lie beside this, of both versions of
 * pages; and of a writer in JavaScript, in all encodings.
 *
 * @module
 */

import assert from "node:assert/strict";
import { loadParquetWriter, type ParquetPageHeader } from "../../../../deps.ts";
import { Random } from "../../../../runtime/base/random.ts";
import { readValues } from "../../../../tasks/data/parquet/page.ts";
import { openParquet, type Value } from "../../../../tasks/data/parquet/parquet.ts";

const text = (value: Value) =>
  value instanceof Uint8Array ? new TextDecoder().decode(value) : value;

for (const name of ["version_1_plain", "version_1_snappy", "version_2_delta"]) {
  Deno.test(`a parquet file of another writer's is read: ${name}`, async () => {
    const file = await openParquet(
      await Deno.readFile(new URL(`${name}.parquet`, import.meta.url)),
    );
    assert.deepEqual(file.names, ["img", "label", "small"]);
    const rows = Array.from({ length: 40 }, (_, i) => i);
    assert.deepEqual(
      (await file.column(["img", "bytes"]))!.map(text),
      rows.map((i) => i % 7 === 3 || i % 11 === 5 ? null : "value ".repeat(i % 4) + i % 6),
    );
    assert.deepEqual(await file.column(["img", "path"]), rows.map(() => null));
    assert.deepEqual(await file.column(["label"]), rows.map((i) => i % 5 === 4 ? null : i % 10));
    assert.deepEqual(await file.column(["small"]), rows.map((i) => i * i - 300));
    for (const path of [["img"], ["other"], ["label", "other"]]) {
      assert.equal(await file.column(path), null);
    }
  });
}

Deno.test("parquet columns of every encoding, packed or not, in several pages and groups", async () => {
  const { parquetWriteBuffer } = await loadParquetWriter(), random = new Random(1, "parquet");
  const below = (limit: number) => Math.floor(random.uniform() * limit);
  const bytes = () => new Uint8Array(below(40)).map((_, i) => i % 9 === 0 ? below(4) : 7);
  for (const count of [1, 7, 8, 33, 300]) {
    const missing = Array.from({ length: count }, () => below(3) === 0);
    const columns: {
      name: string;
      type: "INT32" | "INT64" | "DOUBLE" | "BYTE_ARRAY";
      data: unknown[];
    }[] = [
      { name: "int32", type: "INT32", data: missing.map(() => below(2 ** 32) - 2 ** 31) },
      { name: "int64", type: "INT64", data: missing.map(() => BigInt(below(100))) },
      { name: "double", type: "DOUBLE", data: missing.map(() => random.uniform()) },
      { name: "bytes", type: "BYTE_ARRAY", data: missing.map(bytes) },
    ];
    const encodings = {
      INT32: ["PLAIN", "RLE_DICTIONARY", "DELTA_BINARY_PACKED"],
      INT64: ["PLAIN", "RLE_DICTIONARY", "DELTA_BINARY_PACKED"],
      DOUBLE: ["PLAIN", "RLE_DICTIONARY"],
      BYTE_ARRAY: ["PLAIN", "RLE_DICTIONARY", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"],
    } as const;
    const columnData = columns.flatMap(({ name, type, data }) =>
      encodings[type].flatMap((encoding) =>
        (["SNAPPY", "UNCOMPRESSED"] as const).flatMap((codec) =>
          [false, true].map((nullable) => ({
            ...{
              name: `${name} ${encoding} ${codec} ${nullable}`,
              type,
              encoding,
              codec,
              nullable,
            },
            data: nullable ? data.map((value, i) => missing[i] ? null : value) : data,
          }))
        )
      )
    );
    const written = parquetWriteBuffer({ columnData, pageSize: 300, rowGroupSize: 128 });
    const file = await openParquet(new Uint8Array(written));
    for (const { name, data } of columnData) {
      const wanted = data.map((value) => typeof value === "bigint" ? Number(value) : value);
      assert.deepEqual(await file.column([name]), wanted, name);
    }
  }
});

Deno.test("a parquet file that says more than it holds is refused before anything is made of it", async () => {
  const whole = await Deno.readFile(new URL("version_1_plain.parquet", import.meta.url));
  const refused = async (change: (bytes: Uint8Array) => void, column: string, message: RegExp) => {
    const bytes = Uint8Array.from(whole);
    change(bytes);
    await assert.rejects(async () => await (await openParquet(bytes)).column([column]), message);
  };
  // The pages of "small" begin with the length of their levels and a run that says all of them are there.
  const at = whole.findIndex((_, i) =>
    [2, 0, 0, 0, 50, 1, 0xd4].every((byte, k) => whole[i + k] === byte)
  );
  assert.ok(at > 0);
  await refused(
    (bytes) => bytes.set([3, 0, 0, 0, 0xc8, 1], at),
    "small",
    /a run of 100 numbers where 25 are left/,
  );
  await refused(
    (bytes) => bytes.set([2, 0, 0, 0x80], at),
    "small",
    /2147483650 bytes are needed where \d+ are left/,
  );
  await refused(
    (bytes) => bytes.fill(0xff, at - 40, at),
    "small",
    /no whole parquet file|damaged|unhandled type/,
  );

  const { parquetWriteBuffer } = await loadParquetWriter();
  const data = Array.from({ length: 40 }, (_, i) => i);
  const columnData = [{ name: "a", type: "INT32" as const, data }];
  const groups = new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize: 20 }));
  // The last number of 64 bits that is 20 says how many rows the second group has.
  const last = groups.findLastIndex((byte, i) => byte === 0x16 && groups[i + 1] === 2 * 20);
  groups[last + 1] = 2 * 1 - 1;
  await assert.rejects(openParquet(groups), /a group of -1 rows, 19 in all, in \d+ bytes/);
});

Deno.test("a page of nulls alone may leave out all that its values would have", () => {
  const header: ParquetPageHeader = {
    type: "DATA_PAGE_V2",
    uncompressed_page_size: 2,
    compressed_page_size: 2,
    data_page_header_v2: {
      ...{ num_values: 5, num_nulls: 5, num_rows: 5, encoding: "DELTA_BINARY_PACKED" },
      ...{ definition_levels_byte_length: 2, repetition_levels_byte_length: 0 },
    },
  };
  // One run of five: of level 0.
  const page = { header, bytes: Uint8Array.of(2 * 5, 0), codec: "SNAPPY" };
  const kind = { type: "INT32", length: undefined, optional: 1 };
  assert.deepEqual(readValues(page, kind, null, 5), [null, null, null, null, null]);
});
