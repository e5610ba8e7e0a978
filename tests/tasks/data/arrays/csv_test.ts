import assert from "node:assert/strict";
import { columnOf, columnsOf, readTable } from "../../../../tasks/data/arrays/csv.ts";
import { DataError } from "../../../../tasks/data/data_error.ts";

const table = (text: string) => readTable("t.csv", new TextEncoder().encode(text));

Deno.test("a table is read whatever stands between its fields, and with quotes and a byte order mark", async () => {
  for (const separator of [",", ";", "\t"]) {
    const read = await table(
      `\ufeff"a, b"${separator}c${separator}kind\r\n1${separator}-2.5e1${separator}"x ""y"""\r\n` +
        `+3${separator}.5${separator}two\nlines`.replace("two\nlines", '"two\nlines"'),
    );
    assert.deepEqual(read.columns, ["a, b", "c", "kind"]);
    assert.deepEqual(columnsOf(read, ["c", "a, b"]).data, Float64Array.of(-25, 1, 0.5, 3));
    assert.deepEqual(columnOf(read, "kind").data, ['x "y"', "two\nlines"]);
  }
});

Deno.test("a column is whole, of fractions, of truth values, or of texts", async () => {
  const read = await table("w,f,b,t\n1,1.5,True,1\n2,2,false,a\n");
  const kinds = ["w", "f", "b", "t"].map((name) => columnOf(read, name).kind);
  assert.deepEqual(kinds, ["whole", "float", "boolean", "text"]);
  assert.deepEqual(Array.from<unknown>(columnOf(read, "b").data), [1, 0]);
});

Deno.test("what is wrong with a table is said with its line and its column", async () => {
  const refuse = async (text: string | Uint8Array, pattern: RegExp, columns?: string[]) => {
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    await assert.rejects(
      async () => {
        const read = await readTable("t.csv", bytes);
        columns ? columnsOf(read, columns) : columnOf(read, read.columns[0]);
      },
      (error: Error) => {
        assert(error instanceof DataError, `${error}`);
        assert.match(error.message, pattern);
        return !error.message.includes("\n");
      },
    );
  };
  for (const missing of ["", " ", "NA", "nan", "?", "None"]) {
    await refuse(`a,b\n1,2\n\n"${missing}",3\n`, /line 4 has no value in column "a"/);
  }
  await refuse('a,b\n"x\ny",2\n3,oops\n', /in line 4, column "b", stands "oops"/, ["b"]);
  await refuse("a,b\n1,2\n1e999,2\n", /in line 3, column "a", stands "1e999"/, ["a"]);
  await refuse("a,b\n1,2\n3\n", /line 3 has 1 fields, the head 2/);
  await refuse("a,a\n1,2\n", /head names two columns "a"/);
  await refuse("a,\n1,2\n", /column 2 of its head has no name/);
  await refuse("1,2\n3,4\n", /first line is all numbers/);
  await refuse("a,b\n", /rows below, are required/);
  await refuse("", /rows below, are required/);
  await refuse('a,b\n1,"2\n', /cannot read the table t\.csv: .*line 2/);
  await refuse(Uint8Array.of(97, 10, 0xff, 10), /must be UTF-8, but byte 2 \(0xff\)/);
  await refuse(Uint8Array.of(97, 0, 10, 0), /byte 1 is zero, as in UTF-16/);
});
