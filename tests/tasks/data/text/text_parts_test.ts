import assert from "node:assert/strict";
import { Random } from "../../../../runtime/base/random.ts";
import { DataError } from "../../../../tasks/data/data_error.ts";
import {
  findTextParts,
  ownTextFiles,
  readTextPart,
  type TextRange,
} from "../../../../tasks/data/text/text_parts.ts";
import { firstInvalidByte } from "../../../../tasks/data/text/utf8.ts";
import { withFolder } from "../../../_helpers/temporary_folder.ts";

const TENTHS = { validFraction: 0.1, testFraction: 0.1 };

async function read(ranges: readonly TextRange[]): Promise<string> {
  return (await Array.fromAsync(readTextPart(ranges))).join("");
}

async function texts(data: string, heldOut = TENTHS): Promise<string[]> {
  const { train, valid, test } = await findTextParts(data, heldOut);
  return [await read(train), await read(valid), await read(test)];
}

async function refused(reading: Promise<unknown>, ...parts: string[]): Promise<void> {
  await assert.rejects(reading, (error: unknown) => {
    assert(error instanceof DataError);
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return true;
  });
}

Deno.test("a text is split by shares of its bytes, where lines end", async () => {
  await withFolder(async (folder) => {
    const file = `${folder}/a.txt`, lines = Array.from({ length: 100 }, (_, i) => `line ${i} ä\n`);
    await Deno.writeTextFile(file, lines.join(""));
    const parts = await texts(file);
    assert.equal(parts.join(""), lines.join(""));
    assert.ok(parts.every((part) => part.endsWith("\n")));
    const share = parts.map((part) => part.length / lines.join("").length);
    assert.ok(Math.abs(share[0] - 0.8) < 0.02 && Math.abs(share[1] - 0.1) < 0.02, `${share}`);
    // Without lines it is cut between two characters.
    await Deno.writeTextFile(file, "äöü😀".repeat(20));
    const [train, valid, test] = await texts(file);
    assert.equal(train + valid + test, "äöü😀".repeat(20));
    assert.ok(train.length > 5 * valid.length && valid !== "" && test !== "");
  });
});

Deno.test("a folder's files follow each other by name, a line's end between them, hidden ones left out", async () => {
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/more`);
    await Deno.writeTextFile(`${folder}/b.md`, "b".repeat(70));
    await Deno.writeTextFile(`${folder}/a.txt`, "\ufeff" + "a".repeat(30));
    await Deno.writeTextFile(`${folder}/c`, "c\n".repeat(10));
    await Deno.writeTextFile(`${folder}/.hidden`, "h");
    assert.deepEqual(
      await ownTextFiles(folder),
      ["a.txt", "b.md", "c"].map((n) => `${folder}/${n}`),
    );
    const [train, valid, test] = await texts(folder);
    assert.equal(train, "a".repeat(30) + "\n" + "b".repeat(70));
    assert.equal(valid + test, "c\n".repeat(10));
  });
});

Deno.test("a folder with a split in each of three files is split so", async () => {
  await withFolder(async (folder) => {
    for (const split of ["train", "valid", "test"]) {
      await Deno.writeTextFile(`${folder}/${split}.txt`, `${split}\n`);
    }
    await Deno.writeTextFile(`${folder}/README`, "no part of it");
    assert.deepEqual(await texts(folder), ["train\n", "valid\n", "test\n"]);
    await Deno.writeTextFile(`${folder}/valid.txt`, "");
    await refused(findTextParts(folder, TENTHS), "valid.txt is empty");
  });
});

Deno.test("characters that a read cuts are put together again", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a`, end = 2 ** 20;
    for (const [character, bytes] of [["ä", 2], ["€", 3], ["😀", 4]] as const) {
      for (let inside = 1; inside < bytes; inside++) {
        const text = "x".repeat(end - inside) + character + "y".repeat(end);
        await Deno.writeTextFile(path, text);
        const { size } = await Deno.stat(path);
        assert.ok(await read([{ path, start: 0, end: size }]) === text, `${character} ${inside}`);
      }
    }
  });
});

Deno.test("bytes that are no UTF-8 are named with their place, also behind the first read", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a`;
    const check = async (bytes: Uint8Array, ...parts: string[]) => {
      await Deno.writeFile(path, bytes);
      await refused(read([{ path, start: 0, end: bytes.length }]), path, ...parts);
    };
    const late = new Uint8Array(2 ** 20 + 100).fill(97);
    late.set([0xc3, 0xa4, 0xe4], 2 ** 20 - 1);
    await check(late, `byte ${2 ** 20 + 1} (0xe4) begins no character`, "iconv");
    await check(Uint8Array.of(97, 0xe2, 0x82), "byte 1 (0xe2)");
    await check(Uint8Array.of(97, 98, 0, 99), "byte 2 is zero, as in UTF-16");
    await check(Uint8Array.of(0xff, 0xfe, 97), "byte 0 (0xff)");
  });
});

Deno.test("the first byte that is no UTF-8 is where the platform's decoder stops", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const isWhole = (bytes: Uint8Array) => {
    try {
      decoder.decode(bytes);
      return true;
    } catch {
      return false;
    }
  };
  const random = new Random(3, "bytes");
  const edges = [
    0x7f,
    0x80,
    0xbf,
    0xc0,
    0xc2,
    0xdf,
    0xe0,
    0xed,
    0xef,
    0xf0,
    0xf4,
    0xf5,
    0xff,
    0x9f,
    0x90,
    0xa0,
  ];
  let invalid = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from(
      { length: 6 },
      () => edges[Math.floor(edges.length * random.uniform())],
    );
    const found = firstInvalidByte(bytes);
    assert.equal(found === null, isWhole(bytes), `${bytes}`);
    if (found === null) continue;
    invalid++;
    assert.ok(isWhole(bytes.subarray(0, found)), `${bytes}: ${found}`);
    const begins = [1, 2, 3, 4].some((n) =>
      isWhole(bytes.slice(found, found + n)) && found + n <= 6
    );
    assert.ok(!begins, `${bytes}: ${found}`);
  }
  assert.ok(invalid > 1000 && invalid < 20_000);
});

Deno.test("what is no text, or too short to be split, is named", async () => {
  await withFolder(async (folder) => {
    await refused(findTextParts(`${folder}/none`, TENTHS), `${folder}/none cannot be read`);
    await refused(findTextParts(folder, TENTHS), `there is no file in ${folder}`);
    await Deno.writeTextFile(`${folder}/a`, "");
    await refused(findTextParts(`${folder}/a`, TENTHS), `${folder}/a is empty`);
    await Deno.writeTextFile(`${folder}/a`, "a\n");
    await refused(
      findTextParts(`${folder}/a`, TENTHS),
      "of the 2 bytes",
      "none are left for valid",
    );
  });
});
