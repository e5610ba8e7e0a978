import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CIFAR10_RECORD_BYTES, loadCifar10 } from "../../../../tasks/data/images/cifar10.ts";
import { DataError } from "../../../../tasks/data/data_error.ts";
import { download, type DownloadProgress } from "../../../../tasks/data/sources/download.ts";
import {
  CIFAR10_SOURCE,
  type DataSource,
  downloadCifar10,
  downloadPennTreebank,
  downloadWikiText2,
  PENN_TREEBANK_SOURCE,
} from "../../../../tasks/data/sources/sources.ts";
import { loadTextCorpus } from "../../../../tasks/data/text/text_corpus.ts";
import { loadZip } from "../../../../deps.ts";
import { testWithData } from "../_real_data.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A real server on loopback; `answer` gives each path's response, `asked` the paths in order. */
async function withServer(
  answer: (path: string) => Response | Promise<Response>,
  body: (base: string, folder: string, asked: string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const path = new URL(request.url).pathname;
    asked.push(path);
    return answer(path);
  });
  const folder = await Deno.makeTempDir({ prefix: "celgc-download-" });
  try {
    await body(`http://127.0.0.1:${server.addr.port}`, folder, asked);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

/** A small archive in the official layout, packed by the machine's own tar. */
async function cifarArchive(folder: string, without?: string): Promise<Bytes> {
  const inner = `${folder}/cifar-10-batches-bin`;
  await Deno.mkdir(inner, { recursive: true });
  for (const [i, name] of ["1", "2", "3", "4", "5", "test"].entries()) {
    const bytes = new Uint8Array((i + 1) * CIFAR10_RECORD_BYTES);
    for (let at = 0; at < bytes.length; at++) bytes[at] = at % CIFAR10_RECORD_BYTES ? at & 255 : i;
    const file = name === "test" ? "test_batch.bin" : `data_batch_${name}.bin`;
    if (file !== without) await Deno.writeFile(`${inner}/${file}`, bytes);
  }
  await Deno.writeTextFile(`${inner}/batches.meta.txt`, [..."abcdefghij"].join("\n") + "\n");
  await Deno.writeTextFile(`${inner}/readme.html`, "<p>not asked for</p>");
  const { success, stderr } = await new Deno.Command("tar", {
    args: ["-czf", "archive.tar.gz", "cifar-10-batches-bin"],
    cwd: folder,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return await Deno.readFile(`${folder}/archive.tar.gz`);
}

/** The official source, with another address, size and checksum. */
function cifarSource(urls: string[], archive: Uint8Array): DataSource {
  const [official] = CIFAR10_SOURCE.downloads;
  return {
    name: "CIFAR-10",
    downloads: [{
      ...official,
      urls,
      bytes: archive.length,
      sha256: sha256(archive),
      files: official.files.map(({ name, member }) => ({ name, member })),
    }],
  };
}

async function withArchive(body: (archive: Bytes) => Promise<void>, without?: string) {
  const folder = await Deno.makeTempDir({ prefix: "celgc-archive-" });
  try {
    await body(await cifarArchive(folder, without));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const listing = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("CIFAR-10 is fetched, verified, unpacked and readable; a second call asks for nothing", async () => {
  await withArchive(async (archive) => {
    await withServer(
      (path) =>
        new Response(path === "/gone" ? null : archive, { status: path === "/gone" ? 404 : 200 }),
      async (base, folder, asked) => {
        const seen: DownloadProgress[] = [];
        // The first address is gone: the second serves.
        const source = cifarSource([`${base}/gone`, `${base}/archive`], archive);
        const options = { source, onProgress: (p: DownloadProgress) => void seen.push(p) };
        const to = await downloadCifar10(`${folder}/new/`, options);
        assert.equal(to, `${folder}/new/cifar-10-batches-bin`);
        assert.deepEqual(listing(to), [
          "batches.meta.txt",
          ...[1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`),
          "test_batch.bin",
        ]);
        const { train, test } = await loadCifar10(to);
        assert.equal(train.count, 15);
        assert.equal(test.count, 6);
        assert.deepEqual([...train.labels], [0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4]);
        assert.equal(train.classes[9], "j");
        // Progress begins at nothing, never falls, and ends at the whole.
        assert(seen.every((p, i) => i === 0 || p.received >= seen[i - 1].received));
        assert.deepEqual([seen[0].received, seen.at(-1)!.received], [0, archive.length]);
        assert(seen.every((p) => p.total === archive.length && p.url === `${base}/archive`));
        assert.deepEqual(asked, ["/gone", "/archive"]);
        assert.equal(await downloadCifar10(to, options), to);
        assert.deepEqual(asked, ["/gone", "/archive"]);
        // A file that is lost comes back, the others stay.
        const before = await Deno.stat(`${to}/data_batch_1.bin`);
        await Deno.remove(`${to}/test_batch.bin`);
        await downloadCifar10(to, options);
        assert.equal((await loadCifar10(to)).test.count, 6);
        assert.equal((await Deno.stat(`${to}/data_batch_1.bin`)).ino, before.ino);
      },
    );
  });
});

Deno.test("an altered, short, long, refused or stalled download fails, says why and leaves nothing that is wrong", async () => {
  const right: Bytes = new TextEncoder().encode("the right bytes");
  const altered = right.slice();
  altered[4] ^= 1;
  const pieces = (...parts: (Uint8Array | null)[]) =>
    new Response(
      new ReadableStream({
        async start(controller) {
          for (const part of parts) {
            if (part === null) await new Promise((resolve) => setTimeout(resolve, 1500));
            else controller.enqueue(part);
          }
          try {
            controller.close();
          } catch {
            // the client has gone
          }
        },
      }),
    );
  const answers: Record<string, () => Response> = {
    "/altered": () => new Response(altered),
    "/short": () => pieces(right.subarray(0, 5)),
    "/long": () => pieces(right, right),
    "/other": () => new Response("of another length"),
    "/refused": () => new Response("no", { status: 403, statusText: "Forbidden" }),
    "/stalled": () => pieces(right.subarray(0, 5), null, right.subarray(5)),
  };
  await withServer((path) => answers[path](), async (base, folder) => {
    const path = `${folder}/file`;
    await Deno.writeTextFile(path, "what was there before");
    const reasons: [string, RegExp][] = [
      ["/altered", new RegExp(`SHA-256 ${sha256(right)} is required, found ${sha256(altered)}`)],
      ["/short", /5 of 15 bytes arrived/],
      ["/long", /more than 15 bytes arrived/],
      ["/other", /offers 17 bytes, the file has 15/],
      ["/refused", /403 Forbidden/],
      ["/stalled", /nothing arrived for 0\.3 s/],
    ];
    const file = { bytes: right.length, sha256: sha256(right) };
    for (const [address, reason] of reasons) {
      await assert.rejects(
        download({ urls: [base + address], ...file }, path, { stallTimeout: 300 }),
        (error: unknown) => {
          assert(error instanceof DataError);
          assert.match(error.message, reason);
          assert.match(error.message, /Fetch it by another way and check its SHA-256/);
          return true;
        },
      );
      // What a broken line has brought is kept, what is wrong is not.
      const part = `file.${file.sha256.slice(0, 8)}.part`,
        cut = ["/short", "/stalled"].includes(address);
      assert.deepEqual(listing(folder), cut ? ["file", part] : ["file"]);
      if (cut) await Deno.remove(`${folder}/${part}`);
      assert.equal(await Deno.readTextFile(path), "what was there before");
    }
    // Every address is named when all fail, a closed port among them.
    await assert.rejects(
      download({ urls: ["http://127.0.0.1:1/closed", `${base}/refused`], ...file }, path),
      /127\.0\.0\.1:1\/closed: .*; .*\/refused: .*403/,
    );
  });
});

Deno.test("mirrors come before the public addresses, as folders or as the file itself", async () => {
  const text: Bytes = new TextEncoder().encode("a b c\n");
  const files = ["train", "valid", "test"].map((split) => ({
    urls: [`http://127.0.0.1:1/official/${split}.txt`],
    bytes: text.length,
    sha256: sha256(text),
    files: [{ name: `${split}.txt` }],
  }));
  await withServer(() => new Response(text), async (base, folder, asked) => {
    const source: DataSource = { name: "a text", downloads: files };
    await downloadPennTreebank(folder, { source, mirrors: [`${base}/mirror/`] });
    assert.deepEqual(asked, ["train", "valid", "test"].map((split) => `/mirror/${split}.txt`));
    await Deno.remove(`${folder}/test.txt`);
    await downloadPennTreebank(folder, { source, mirrors: [`${base}/elsewhere/test.txt`] });
    assert.equal(asked.at(-1), "/elsewhere/test.txt");
  });
});

Deno.test("a download that is called off ends, and leaves what has arrived", async () => {
  let cancelled = () => {};
  const gone = new Promise<void>((resolve) => cancelled = resolve);
  const endless = () => {
    let timer: ReturnType<typeof setInterval>;
    return new Response(
      new ReadableStream({
        start: (controller) =>
          void (timer = setInterval(() => controller.enqueue(new Uint8Array(100)), 10)),
        cancel: () => {
          clearInterval(timer);
          cancelled();
        },
      }),
    );
  };
  await withServer(endless, async (base, folder) => {
    const controller = new AbortController();
    await assert.rejects(
      download({ urls: [`${base}/1`, `${base}/2`], bytes: null, sha256: "00" }, `${folder}/file`, {
        signal: controller.signal,
        onProgress: ({ received }) => {
          if (received >= 300) controller.abort(new Error("called off"));
        },
      }),
      /called off/,
    );
    assert.deepEqual(listing(folder), ["file.00.part"]);
    await gone;
  });
});

Deno.test("files that are there and are not the official ones are left alone and named", async () => {
  await withServer(() => new Response("unused"), async (base, folder, asked) => {
    const source: DataSource = {
      ...PENN_TREEBANK_SOURCE,
      downloads: PENN_TREEBANK_SOURCE.downloads.map((d) => ({ ...d, urls: [`${base}/x`] })),
    };
    await Deno.writeTextFile(`${folder}/train.txt`, "my own text\n");
    await assert.rejects(
      downloadPennTreebank(folder, { source }),
      /train\.txt exists with 12 bytes, the official file has 5101618; move it away/,
    );
    assert.deepEqual(asked, []);
    assert.equal(await Deno.readTextFile(`${folder}/train.txt`), "my own text\n");
  });
});

Deno.test("an archive that lacks a file or is damaged gives nothing", async () => {
  await withArchive(async (archive) => {
    // Verified, and yet not a whole archive: cut within the compressed data.
    const cut = archive.slice(0, archive.length - 40);
    await withServer(
      (path) => new Response(path === "/cut" ? cut : archive),
      async (base, folder) => {
        await assert.rejects(
          downloadCifar10(folder, { source: cifarSource([`${base}/whole`], archive) }),
          /holds no file cifar-10-batches-bin\/data_batch_3\.bin/,
        );
        await assert.rejects(
          downloadCifar10(folder, { source: cifarSource([`${base}/cut`], cut) }),
          (error: unknown) => error instanceof DataError && /cannot unpack/.test(error.message),
        );
        assert.deepEqual(listing(`${folder}/cifar-10-batches-bin`), []);
      },
    );
  }, "data_batch_3.bin");
});

Deno.test("WikiText-2's zip archive is unpacked to its three splits", async () => {
  const { zipSync } = await loadZip();
  const text = (s: string) => new TextEncoder().encode(s);
  const archive = zipSync({
    "wikitext-2": {
      "wiki.train.tokens": text(" \n = A = \n a b \n".repeat(500)),
      "wiki.valid.tokens": text("b c\n"),
      "wiki.test.tokens": text("c a d\n"),
      "README.txt": text("not asked for"),
    },
  }) as Bytes;
  await withServer(() => new Response(archive), async (base, folder) => {
    const source: DataSource = {
      name: "WikiText-2",
      downloads: [{
        urls: [`${base}/zip`],
        bytes: null,
        sha256: sha256(archive),
        archive: "wikitext-2-v1.zip",
        files: ["train", "valid", "test"].map((split) => ({
          name: `wiki.${split}.tokens`,
          member: `wikitext-2/wiki.${split}.tokens`,
        })),
      }],
    };
    assert.equal(await downloadWikiText2(folder, { source }), folder);
    assert.deepEqual(listing(folder), [
      "wiki.test.tokens",
      "wiki.train.tokens",
      "wiki.valid.tokens",
    ]);
    const corpus = await loadTextCorpus(folder);
    assert.equal(corpus.train.length, 500 * (1 + 4 + 3));
    assert.equal(corpus.vocabulary.size, 7);
  });
});

testWithData(
  "ptb",
  "the pinned Penn Treebank sizes and checksums are those of the real files",
  async (directory) => {
    await withServer(
      async (path) => new Response(await Deno.readFile(directory + path)),
      async (base, folder, asked) => {
        const source: DataSource = {
          ...PENN_TREEBANK_SOURCE,
          downloads: PENN_TREEBANK_SOURCE.downloads.map((d) => ({
            ...d,
            urls: [`${base}/${d.files[0].name}`],
          })),
        };
        await downloadPennTreebank(`${folder}/ptb`, { source });
        assert.deepEqual(asked, ["/train.txt", "/valid.txt", "/test.txt"]);
        assert.equal((await loadTextCorpus(`${folder}/ptb`)).vocabulary.size, 10_000);
      },
    );
  },
);

testWithData(
  "cifar10",
  "an archive of real size is unpacked, and what is not asked for left out",
  async (directory) => {
    const scratch = await Deno.makeTempDir({ prefix: "celgc-archive-" });
    try {
      const inner = `${scratch}/cifar-10-batches-bin`;
      await Deno.symlink(directory, inner);
      // The small file lies between the large ones.
      const { success } = await new Deno.Command("tar", {
        args: [
          "-chf",
          "archive.tar.gz",
          "--use-compress-program=gzip -1",
          ...["data_batch_1.bin", "batches.meta.txt", "test_batch.bin"].map((name) =>
            `cifar-10-batches-bin/${name}`
          ),
        ],
        cwd: scratch,
      }).output();
      assert(success);
      const archive = await Deno.readFile(`${scratch}/archive.tar.gz`);
      await withServer(() => new Response(archive), async (base, folder) => {
        const source = cifarSource([`${base}/archive`], archive);
        const [only] = source.downloads;
        const files = only.files.filter(({ name }) => /^(data_batch_1|test_batch)/.test(name));
        const to = await downloadCifar10(folder, {
          source: { ...source, downloads: [{ ...only, files }] },
        });
        assert.deepEqual(listing(to), ["data_batch_1.bin", "test_batch.bin"]);
        for (const name of listing(to)) {
          assert.equal(
            sha256(await Deno.readFile(`${to}/${name}`)),
            sha256(await Deno.readFile(`${directory}/${name}`)),
          );
        }
      });
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  },
);
