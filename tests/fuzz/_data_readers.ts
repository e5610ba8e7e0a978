/**
 * Everything that reads data sets, tokenizers and what ranks send each other in fewer bytes or in parts.
 *
 * @module
 */

import { join } from "node:path";
import { loadParquetWriter, loadPng, loadZip } from "../../deps.ts";
import { codecOf } from "../../runtime/compression/registry.ts";
import { decode, encode } from "../../runtime/compression/tile.ts";
import { PacketKind } from "../../runtime/transport/connection.ts";
import { MeshTransport } from "../../runtime/transport/mesh_transport.ts";
import { HEADER_BYTES } from "../../runtime/transport/transport.ts";
import { DataError } from "../../tasks/data/data_error.ts";
import { loadCifar } from "../../tasks/data/images/cifar/cifar.ts";
import { CIFAR10 } from "../../tasks/data/images/cifar/kinds.ts";
import { loadImageFolders } from "../../tasks/data/images/image_folders.ts";
import { openParquet } from "../../tasks/data/parquet/parquet.ts";
import { openFileSet } from "../../tasks/data/sources/file_set.ts";
import { learnTokenizer } from "../../tasks/data/tokenizers/learn_tokenizer.ts";
import { openTokenizer } from "../../tasks/data/tokenizers/tokenizer.ts";
import type { Reader } from "./_reader.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

/** A file that is written anew for each reading, beside others that stay. */
async function inFolder(
  folder: string,
  file: string,
  others: Readonly<Record<string, Uint8Array>> = {},
): Promise<(bytes: Uint8Array) => void> {
  for (const [name, bytes] of Object.entries({ ...others, [file]: new Uint8Array() })) {
    await Deno.mkdir(join(folder, name, ".."), { recursive: true });
    await Deno.writeFile(join(folder, name), bytes);
  }
  return (bytes) => Deno.writeFileSync(join(folder, file), bytes);
}

/** An image that compresses well, so that most bytes of its file mean something. */
async function picture(side: number): Promise<Uint8Array> {
  const { encode } = await loadPng();
  const data = new Uint8Array(3 * side * side).map((_, i) => i >> 4);
  return encode({ width: side, height: side, channels: 3, depth: 8, data });
}

async function imageFolders(parent: string): Promise<Reader> {
  const folder = join(parent, "images"), seed = await picture(8);
  const put = await inFolder(folder, "train/a/1.png", {
    "train/b/1.png": seed,
    "test/a/1.png": seed,
    "test/b/1.png": seed,
  });
  return {
    name: "folders of images",
    seeds: [seed],
    share: 0.03, // all of its files are read each time
    errors: [DataError],
    read: (bytes) => {
      put(bytes);
      return loadImageFolders(folder, { imageSize: 8, testFraction: 0 });
    },
  };
}

/** A file of one image as Python 2 has pickled it. */
function pickled(): Uint8Array {
  const bytes: number[] = [];
  const put = (...parts: (string | number)[]) => {
    for (const part of parts) {
      bytes.push(...typeof part === "number" ? [part] : utf8(part));
    }
  };
  const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer);
  const int = (value: number) => put("J", ...u32(value));
  const string = (data: Uint8Array) => put("T", ...u32(data.length), ...data);
  put(0x80, 2, "}(");
  string(utf8("labels"));
  put("](");
  int(3);
  put("e");
  string(utf8("data"));
  put("cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n");
  int(0);
  put(0x85);
  string(utf8("b"));
  put(0x87, "R(");
  int(1);
  int(1);
  int(3072);
  put(0x86, "cnumpy\ndtype\n");
  string(utf8("u1"));
  int(0);
  int(1);
  put(0x87, "R(");
  int(3);
  string(utf8("|"));
  put("NNN");
  int(-1);
  int(-1);
  int(0);
  put("tb", 0x89);
  string(new Uint8Array(3072).fill(9));
  put("tbu.");
  return Uint8Array.from(bytes);
}

async function table(): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await loadParquetWriter(), file = await picture(32);
  return new Uint8Array(parquetWriteBuffer({
    columnData: [
      { name: "img", data: [file], type: "BYTE_ARRAY" },
      { name: "label", data: [3], type: "INT32" },
    ],
  }));
}

/** Reads all columns of numbers and bytes that the files have which lie beside the parquet tests. */
async function readTable(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const file = await openParquet(bytes);
  for (const path of [["img", "bytes"], ["img"], ["label"], ["small"]]) await file.column(path);
}

/** Tables: whole files, and the pages of each, whose description stays. */
async function parquet(): Promise<Reader[]> {
  const folder = new URL("../tasks/data/parquet/", import.meta.url);
  const names = ["version_1_plain", "version_1_snappy", "version_2_delta"];
  const seeds = await Promise.all(
    names.map((name) => Deno.readFile(new URL(`${name}.parquet`, folder))),
  );
  const errors = [Error];
  return [
    { name: "parquet", seeds, errors, share: 0.2, read: readTable },
    ...seeds.map((seed, at): Reader => {
      const end = seed.length - 8 - new DataView(seed.buffer).getUint32(seed.length - 8, true);
      return {
        name: `parquet's pages, ${names[at]}`,
        seeds: [seed.subarray(0, end)],
        share: 0.2,
        errors,
        read(bytes) {
          const file = Uint8Array.from(seed);
          file.set(bytes.subarray(0, end));
          return readTable(file);
        },
      };
    }),
  ];
}

async function cifarForms(parent: string): Promise<Reader[]> {
  const forms: [string, string, string, Uint8Array][] = [
    ["pickles", "data_batch_1", "test_batch", pickled()],
    ["parquet", "train-0.parquet", "test-0.parquet", await table()],
  ];
  return await Promise.all(forms.map(async ([form, train, test, whole]): Promise<Reader> => {
    const folder = join(parent, form), put = await inFolder(folder, train, { [test]: whole });
    return {
      name: `CIFAR-10, ${form}`,
      seeds: [whole],
      share: 0.05,
      errors: [DataError],
      read: (bytes) => {
        put(bytes);
        return loadCifar(CIFAR10, folder);
      },
    };
  }));
}

/** An archive of tar with one file in it. */
function tar(name: string, data: Uint8Array): Uint8Array {
  const head = new Uint8Array(512), padded = Math.ceil(data.length / 512) * 512;
  const put = (at: number, text: string) => head.set(utf8(text), at);
  put(0, name);
  put(100, "0000644\0");
  put(124, `${data.length.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, " ".repeat(8));
  put(156, "0");
  put(257, "ustar\x0000");
  const sum = head.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  const archive = new Uint8Array(512 + padded + 1024);
  archive.set(head);
  archive.set(data, 512);
  return archive;
}

async function archives(parent: string): Promise<Reader[]> {
  const { zipSync, gzipSync } = await loadZip(), data = utf8("the cat sat on the mat\n");
  const plain = tar("a/b.txt", data);
  const kinds: [string, Uint8Array][] = [
    ["tar", plain],
    ["tar.gz", gzipSync(plain)],
    ["zip", zipSync({ "a/b.txt": data, "c.txt": utf8("c") })],
  ];
  return await Promise.all(kinds.map(async ([kind, seed]): Promise<Reader> => {
    const folder = join(parent, `archives-${kind}`), put = await inFolder(folder, `x.${kind}`);
    return {
      name: `archives, ${kind}`,
      seeds: [seed],
      share: 0.1,
      errors: [DataError],
      async read(bytes) {
        put(bytes);
        const set = await openFileSet(join(folder, `x.${kind}`));
        for (const name of set.names) await set.read(name);
      },
    };
  }));
}

async function* pieces(text: string): AsyncGenerator<string, void> {
  yield text;
}

async function tokenizers(): Promise<Reader[]> {
  const text = "the cat sat on the mat, and the cat is fat. ".repeat(8);
  const specs = [{ kind: "bpe", size: 270 }, { kind: "char" }, { kind: "words", size: 6 }] as const;
  return await Promise.all(specs.map(async (spec): Promise<Reader> => ({
    name: `tokenizer.json, ${spec.kind}`,
    seeds: [utf8(await learnTokenizer(spec, pieces(text)))],
    share: 0.05,
    errors: [RangeError],
    async read(bytes) {
      const tokenizer = await openTokenizer(spec, bytes);
      for await (const tokens of tokenizer.encode(pieces("the cat"))) {
        for (const token of Array.from(tokens)) {
          // A number that the file itself gives may be any; one that it does not is a fault.
          if (!Number.isInteger(token)) throw new Error(`token ${token}`);
        }
      }
    },
  })));
}

/** Numbers that travel compressed: whatever the bytes say, they are read into the numbers' place alone. */
function codecs(): Reader[] {
  const values = Float32Array.from({ length: 600 }, (_, i) => Math.sin(i) * 2 ** (i % 9));
  return ["int8", "int4", "bf16", "fp16", "topk:0.05", "topk:0.05:int8"].map((name): Reader => {
    const codec = codecOf(name)!, seed = new Uint8Array(codec.bytes(values.length));
    encode(codec, Float32Array.from(values), seed);
    return {
      name: `compressed, ${name}`,
      seeds: [seed],
      share: 0.25,
      errors: [],
      read(bytes) {
        // Lengths are compared before anything is decoded.
        const whole = new Uint8Array(seed.length);
        whole.set(bytes.subarray(0, seed.length));
        const room = new Float32Array(values.length + 2).fill(7);
        decode(codec, whole, room.subarray(1, -1));
        if (room[0] !== 7 || room.at(-1) !== 7) throw new Error("wrote beside its place");
      },
    };
  });
}

/** A frame, or part of one, as it goes over a connection. */
function packet(kind: number, payload: Uint8Array): number[] {
  const head = new Uint8Array(8), view = new DataView(head.buffer);
  view.setUint32(0, payload.length);
  view.setUint32(4, kind);
  return [...head, ...new Uint8Array(HEADER_BYTES), ...payload];
}

/** A connection on which these bytes come, and then its end. */
function recorded(bytes: Uint8Array): Deno.Conn {
  let rest = bytes;
  const connection = {
    read(into: Uint8Array): Promise<number | null> {
      if (rest.length === 0) return Promise.resolve(null);
      const some = rest.subarray(0, into.length);
      into.set(some);
      rest = rest.subarray(some.length);
      return Promise.resolve(some.length);
    },
    write: (bytes: Uint8Array) => Promise.resolve(bytes.length),
    close() {},
    unref() {},
    remoteAddr: { transport: "tcp" },
  };
  return connection as unknown as Deno.Conn;
}

/** The longest payload that somebody asked for. */
const LONGEST = 1 << 20;

/** Frames that come in parts over two connections, of which the first says what is fuzzed. */
function parts(): Reader {
  const length = 80_000, half = new Uint8Array(length / 2).fill(5);
  const u32 = (value: number) => new Uint8Array([0, 8, 16, 24].map((by) => value >>> by)).reverse();
  const frame = [...packet(PacketKind.HEAD, u32(length)), ...packet(PacketKind.PART, half)];
  const first = [...packet(PacketKind.DATA, utf8("small")), ...frame];
  const seed = Uint8Array.from([...first, ...packet(PacketKind.PING, new Uint8Array())]);
  const second = Uint8Array.from(packet(PacketKind.PART, half));
  return {
    name: "packets in parts",
    seeds: [seed],
    share: 0.1,
    errors: [Error],
    async read(bytes) {
      const ended = Promise.withResolvers<Error | undefined>();
      const transport = new MeshTransport({
        ...{ rank: 0, size: 2, hosts: ["a", "b"], control: null, timeoutMs: 60_000 },
        connections: [undefined, [recorded(bytes), recorded(second)]],
      });
      transport.start({
        begin(_, __, length) {
          if (length > LONGEST) throw new RangeError(`nobody asked for ${length} bytes`);
          return new Uint8Array(length);
        },
        end() {},
        lost: (_, cause) => ended.resolve(cause),
      });
      const cause = await ended.promise;
      await transport.close();
      if (cause) throw cause;
    },
  };
}

/** All of them, of files in folders below one that is the caller's. */
export async function dataReaders(parent: string): Promise<Reader[]> {
  return [
    parts(),
    ...codecs(),
    await imageFolders(parent),
    ...await cifarForms(parent),
    ...await parquet(),
    ...await archives(parent),
    ...await tokenizers(),
  ];
}
