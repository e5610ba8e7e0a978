/**
 * Everything that reads bytes from outside.
 *
 * @module
 */

import { join } from "node:path";
import { checkAgentMessage, checkCoordinatorMessage } from "../../runtime/agents/messages.ts";
import { parseHostfile, parseHosts } from "../../runtime/agents/hostfile.ts";
import { decodeInvitation, encodeInvitation } from "../../runtime/agents/invitation.ts";
import { decodeAgreement, encodeAgreement } from "../../runtime/agreement/messages.ts";
import { decodeFrame } from "../../runtime/engine/header.ts";
import * as header from "../../runtime/engine/header.ts";
import { checkRankMessage, checkServerMessage } from "../../runtime/rendezvous/messages.ts";
import { HandshakeError, RendezvousError } from "../../runtime/base/errors.ts";
import { credentials, initiate, respond } from "../../runtime/security/handshake.ts";
import { parseLink } from "../../runtime/transport/access_link.ts";
import { checkModel, encodeModel, foreignModel, OnnxFileError } from "../../models/mod.ts";
import { readOnnxFile } from "../../models/foreign/file/onnx_file.ts";
import { DataError } from "../../tasks/data/data_error.ts";
import { CIFAR10_RECORD_BYTES, loadCifar10 } from "../../tasks/data/images/cifar10.ts";
import { parsePartition } from "../../tasks/data/sampling/partition.ts";
import { loadTextCorpus } from "../../tasks/data/text/text_corpus.ts";
import { lastRecords } from "../../tasks/logs/last_records.ts";
import { LogError } from "../../tasks/logs/log_error.ts";
import { RunLog } from "../../tasks/logs/run_log.ts";
import { totalsOf } from "../../tasks/logs/totals.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  SafetensorsError,
} from "../../tasks/networks/safetensors.ts";
import { OptionError } from "../../tasks/options/kinds.ts";
import { resolveOptions } from "../../tasks/options/resolve.ts";
import { CheckpointError, decodePart, readManifest } from "../../tasks/run/checkpoint.ts";
import { newConfig, readConfig } from "../../tasks/run/folder.ts";
import { knownLines } from "../tasks/run_folder.ts";
import { dataReaders } from "./_data_readers.ts";
import { arrayReaders } from "./_array_readers.ts";
import type { Reader } from "./_reader.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const json = (value: unknown) => utf8(JSON.stringify(value));

/** Reads a value that JSON holds; what is none is nobody's fault here. */
const fromJson = (check: (value: unknown) => unknown) => (bytes: Uint8Array) => {
  let value: unknown;
  try {
    value = JSON.parse(text(bytes));
  } catch {
    return;
  }
  check(value);
};

function frames(): Reader {
  const context = 7, type = 1, tag = 3, message = 9, call = 4, exchange = 2;
  const codes = {
    collective: 1,
    type,
    count: 1000,
    op: 1,
    root: 0,
    algorithm: 2,
    compression: 0,
    exact: 0,
    segmentBytes: 1024,
  };
  const fanIn = { context, call, exchange, answerSlotEmpty: true };
  return {
    name: "frames",
    seeds: [
      header.encodeEager({ context, type, count: 5, tag }),
      header.encodeRequestToSend({ context, type, count: 2 ** 40, tag, message, bytes: 2 ** 43 }),
      header.encodeClearToSend({ context, message, declined: false }),
      header.encodeMessage({ context, message }),
      header.encodeCredit({ context, bytes: 65_536 }),
      header.encodeFanIn(fanIn, codes),
      header.encodeFanOut({ context, call, exchange }),
      header.encodeSegment({ context, call, segment: 1 }),
      header.encodeMismatch({ context }),
      header.encodeLost({ rank: 3 }),
      header.encodeWake(),
      header.encodeRevoked({ context }),
      header.encodeAgreementFrame({ context, call, step: 2 }),
    ],
    errors: [RangeError],
    read(bytes) {
      // A connection hands over headers of one length alone.
      const whole = new Uint8Array(header.encodeWake().length);
      whole.set(bytes.subarray(0, whole.length));
      decodeFrame(new DataView(whole.buffer));
    },
  };
}

const JOB = await credentials("fuzz", new Uint8Array(32).fill(7));

/** One end of a connection whose other end says what was recorded, whatever it is told. */
class Recording {
  readonly written: Uint8Array[] = [];
  #rest: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.#rest = bytes;
  }
  read(into: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) return Promise.resolve(null);
    const some = this.#rest.subarray(0, into.length);
    into.set(some);
    this.#rest = this.#rest.subarray(some.length);
    return Promise.resolve(some.length);
  }
  write(bytes: Uint8Array): Promise<number> {
    this.written.push(bytes.slice());
    return Promise.resolve(bytes.length);
  }
}

/** What both ends of a real handshake have said. */
async function recordHandshake(): Promise<{ dialer: Uint8Array; listener: Uint8Array }> {
  const there = new TransformStream<Uint8Array, Uint8Array>();
  const back = new TransformStream<Uint8Array, Uint8Array>();
  const said = { dialer: [] as number[], listener: [] as number[] };
  const end = (
    from: ReadableStream<Uint8Array>,
    to: WritableStream<Uint8Array>,
    who: "dialer" | "listener",
  ) => {
    const reader = from.getReader(), writer = to.getWriter();
    return {
      async read(into: Uint8Array) {
        const { value } = await reader.read();
        into.set(value!);
        return value!.length;
      },
      async write(bytes: Uint8Array) {
        said[who].push(...bytes);
        await writer.write(bytes.slice());
        return bytes.length;
      },
    };
  };
  await Promise.all([
    initiate(end(back.readable, there.writable, "dialer"), JOB, "mesh", 1, 0),
    respond(end(there.readable, back.writable, "listener"), JOB, [{
      purpose: "mesh",
      self: 0,
      admit: () => null,
    }]),
  ]);
  return { dialer: Uint8Array.from(said.dialer), listener: Uint8Array.from(said.listener) };
}

const RECORDED = await recordHandshake();

/** Whoever gets in without the secret would do so by what was said before, or by luck. */
const LET_IN = new Error("let somebody in who does not know the secret");

const handshakes: Reader[] = [
  {
    name: "handshake, listener",
    seeds: [RECORDED.dialer],
    share: 0.25,
    errors: [HandshakeError],
    async read(bytes) {
      await respond(new Recording(bytes), JOB, [{ purpose: "mesh", self: 0, admit: () => null }]);
      throw LET_IN;
    },
  },
  {
    name: "handshake, dialer",
    seeds: [RECORDED.listener],
    share: 0.25,
    errors: [HandshakeError],
    async read(bytes) {
      await initiate(new Recording(bytes), JOB, "mesh", 1, 0);
      throw LET_IN;
    },
  },
];

const endpoints = [{ kind: "tcp", hostname: "127.0.0.1", port: 4000 }, {
  kind: "unix",
  path: "/s",
}];

const messages: Reader[] = [
  {
    name: "messages of a rank",
    seeds: [
      { type: "join", host: "a", pid: 1, endpoints, dialsOut: true },
      { type: "report", message: "m", operation: "bcast", step: 3, lost: null },
      { type: "abort", code: 1, message: "m" },
      { type: "pending", operations: ["allreduce"] },
      { type: "invite", rank: 3, members: [0, 1], newcomers: [3, 4] },
      { type: "welcome", rank: 3, context: 2, members: [0, 1, 3] },
    ].map(json),
    errors: [TypeError],
    read: fromJson(checkRankMessage),
  },
  {
    name: "messages of an agreement",
    seeds: [null, { leader: 2, value: Uint8Array.of(7, 8, 9) }].map((adopted) =>
      encodeAgreement({ kind: "contribution", input: Uint8Array.of(1, 2, 3), adopted }).payload
    ),
    errors: [RangeError],
    read: (payload) => void decodeAgreement({ step: 0, payload }),
  },
  {
    name: "messages of the rendezvous",
    seeds: [
      { type: "table", ranks: [{ host: "a", endpoints }, { host: "b", endpoints }] },
      { type: "lost", rank: 1, reason: "r" },
      { type: "knock", rank: 3, entry: { host: "c", endpoints } },
      {
        type: "invited",
        members: [0],
        newcomers: [[3, { host: "c", endpoints }]],
        hosts: ["a", "b"],
      },
      { type: "inquiry" },
    ].map(json),
    errors: [TypeError],
    read: fromJson((value) => checkServerMessage(value, 2)),
  },
  {
    name: "messages of an agent",
    seeds: [
      {
        type: "hello",
        version: "0.1.0",
        ranks: 2,
        host: { name: "b", identity: "i" },
        seat: null,
        addresses: ["192.0.2.1"],
        dialled: "192.0.2.2:4000",
        sockets: null,
        probe: { port: 4000, mark: "m" },
      },
      { type: "output", job: 1, stream: "stdout", rank: 1, bytes: "aGVsbG8=" },
      { type: "taken", job: 1, stream: "stdout", rank: 1, count: 5 },
      { type: "exit", job: 1, rank: 1, code: 0, signal: null },
      { type: "failed", job: 1, message: "m" },
      { type: "alive" },
    ].map(json),
    errors: [TypeError],
    read: fromJson(checkAgentMessage),
  },
  {
    name: "messages of the coordinator",
    seeds: [
      { type: "welcome", tls: { cert: "c", key: "k" }, dialsOut: false, timeout: 60 },
      { type: "refusal", message: "m" },
      {
        ...{ type: "start", job: 1, size: 4, first: 2, count: 2, hash: null, args: ["a"] },
        ...{ program: { kind: "own", value: "p" }, env: { A: "b" }, allow: [], timeout: 60 },
        ...{ joinTimeout: 60, transport: "auto", link: null, stdin: [2], host: "b" },
        ...{ sockets: null, peers: ["192.0.2.1"], details: null },
      },
      { type: "kill", job: 1, rank: 1, signal: "SIGTERM" },
      { type: "close", code: 0, message: null },
      { type: "alive" },
    ].map(json),
    errors: [TypeError],
    read: fromJson(checkCoordinatorMessage),
  },
];

const invitations: Reader = {
  name: "invitations",
  seeds: [utf8(encodeInvitation({
    version: "0.1.0",
    job: "a-job",
    secret: "ab".repeat(32),
    addresses: ["192.0.2.1:4000", "[2001:db8::1]:4000"],
    ca: null,
    expires: Number.MAX_SAFE_INTEGER,
  }))],
  errors: [RendezvousError],
  read: (bytes) => decodeInvitation(text(bytes), 0),
};

/** Short texts with a grammar of their own. */
const texts = ([
  ["hostfiles", parseHostfile, "# hosts\na slots=4\nb slots=2 max-slots=8\n\nc\n"],
  ["lists of hosts", parseHosts, "a:4,b:2,[::1]:3"],
  ["links", parseLink, "100mbit,20ms"],
  ["partitions", parsePartition, "proportional:40,30,20,10"],
] as const).map(([name, parse, seed]): Reader => ({
  name,
  seeds: [utf8(seed)],
  errors: [RangeError],
  read: (bytes) => parse(text(bytes)),
}));

const TENSORS = {
  tensors: [
    { name: "weight", dims: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    { name: "bias", dims: [], data: Float32Array.of(7) },
  ],
  metadata: { numbers: '{"step":1}' },
};

const safetensors: Reader = {
  name: "safetensors",
  seeds: [encodeSafetensors(TENSORS), encodeSafetensors({ tensors: [], metadata: {} })],
  errors: [SafetensorsError],
  read(bytes) {
    decodeSafetensors(bytes, { convert: true });
    // What is read must be what is written.
    encodeSafetensors(decodeSafetensors(bytes));
  },
};

const parts: Reader = {
  name: "parts of a checkpoint",
  seeds: [encodeSafetensors(TENSORS)],
  errors: [CheckpointError],
  read: (bytes) => decodePart(bytes, "run", 1, { name: "rank-0.safetensors", sha256: "" }),
};

/** Files of a folder that are made anew for each reading. */
function inFolder(folder: string, file: string, read: (folder: string) => unknown) {
  const path = join(folder, file);
  return (bytes: Uint8Array) => {
    Deno.writeFileSync(path, bytes);
    return read(folder);
  };
}

async function made(parent: string, name: string): Promise<string> {
  const folder = join(parent, name);
  await Deno.mkdir(folder, { recursive: true });
  return folder;
}

/** The readers of files, in folders below one that is the caller's. */
async function fileReaders(parent: string): Promise<Reader[]> {
  const manifests = await made(parent, "run/checkpoint/step-1");
  const logs = await made(parent, "log"), configs = await made(parent, "config");
  const cifar = await made(parent, "cifar"), texts = await made(parent, "text");
  const record = new Uint8Array(CIFAR10_RECORD_BYTES).fill(9);
  await Deno.writeFile(`${cifar}/test_batch.bin`, record);
  await Deno.writeTextFile(`${texts}/valid.txt`, "a b\n");
  await Deno.writeTextFile(`${texts}/test.txt`, "b c\n");
  const files = [{ name: "rank-0.safetensors", sha256: "ab", host: "a" }];
  const known = { interval: 2, scale: 10, stepMs: 50, syncMs: 10, drift: 0.1, driftBound: 4 };
  const lines = knownLines(known).map((line) => JSON.stringify(line)).join("\n");
  const readers: Reader[] = [
    {
      name: "lists of a checkpoint",
      seeds: [json({ step: 1, ranks: 1, run: "r", files })],
      errors: [CheckpointError],
      read: inFolder(manifests, "checkpoint.json", () => readManifest(join(parent, "run"), 1)),
    },
    {
      name: "metrics",
      seeds: [utf8(lines), utf8(lines.slice(-600))],
      errors: [LogError],
      read: inFolder(logs, "metrics.jsonl", async (folder) => {
        totalsOf(await RunLog.open(folder));
        await lastRecords(folder);
      }),
    },
    {
      name: "configurations",
      seeds: [
        json(newConfig(resolveOptions({}))),
        json(newConfig(resolveOptions({ preset: "ptb-awd-lstm", data: "d", decayAt: [1, 2] }))),
      ],
      errors: [LogError, OptionError],
      read: inFolder(configs, "config.json", async (folder) => {
        const { options } = await readConfig(folder);
        resolveOptions(options as unknown as Record<string, unknown>);
      }),
    },
    {
      name: "CIFAR-10",
      seeds: [record],
      errors: [DataError],
      read: inFolder(cifar, "data_batch_1.bin", loadCifar10),
    },
    {
      name: "texts",
      seeds: [utf8("the cat sat\non the <unk> mat é 中\n"), utf8("a b\r\n\r\nc\u00a0d\n")],
      errors: [DataError],
      read: inFolder(texts, "train.txt", (folder) => loadTextCorpus(folder)),
    },
  ];
  return readers.map((reader) => ({ ...reader, share: 0.1 })); // each writes a file
}

/** Longest ONNX file, in bytes. */
const LONGEST_ONNX = 3000;

/** Small ONNX files: what was exported by others, and what this project writes. */
function onnxSeeds(): Uint8Array[] {
  const folder = new URL("../models/foreign/cases/", import.meta.url);
  const files = [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".onnx"))
    .map(({ name }) => Deno.readFileSync(new URL(name, folder)))
    .filter((bytes) => bytes.length < LONGEST_ONNX);
  const again = files.flatMap((file) => {
    try {
      const { graph } = foreignModel(file).build({ batchSize: 2, mode: "train" });
      return [encodeModel(graph)];
    } catch {
      return []; // refused, as it should be
    }
  });
  return [...files, ...again.filter((bytes) => bytes.length < LONGEST_ONNX)];
}

const ONNX_SEEDS = onnxSeeds();

const onnx: Reader[] = [
  { name: "ONNX", seeds: ONNX_SEEDS, errors: [OnnxFileError], read: readOnnxFile },
  {
    name: "ONNX, trained",
    seeds: ONNX_SEEDS,
    errors: [OnnxFileError],
    share: 0.05, // its gradients are built as well
    read: (bytes) => checkModel(bytes),
  },
];

/** All of them. */
export async function readers(folder: string): Promise<Reader[]> {
  return [
    frames(),
    ...handshakes,
    ...messages,
    invitations,
    ...texts,
    safetensors,
    parts,
    ...await fileReaders(folder),
    ...await dataReaders(folder),
    ...await arrayReaders(folder),
    ...onnx,
  ];
}
