import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { download, type DownloadProgress } from "../../../../tasks/data/sources/download.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

const listing = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

Deno.test("a download goes on where it was cut, from mirrors and across calls, and wrong bytes are thrown away", async () => {
  const whole: Bytes = Uint8Array.from({ length: 3000 }, (_, i) => (i * 2654435761) >>> 24);
  const file = { bytes: whole.length, sha256: sha256(whole) };
  const ranges: string[] = [];
  const wrong = whole.map((byte) => byte ^ 1) as Bytes;
  /** Serves from where it is asked, slowly, and breaks off after 700 bytes. */
  const breaking = (bytes: Bytes, range: string | null) => {
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const body = new ReadableStream({
      async start(controller) {
        for (let at = from; at < Math.min(from + 700, bytes.length); at += 100) {
          controller.enqueue(bytes.subarray(at, Math.min(at + 100, bytes.length)));
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        if (from + 700 < bytes.length) controller.error(new Error("the line is cut"));
        else controller.close();
      },
    });
    const headers = { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
    return new Response(body, from > 0 ? { status: 206, headers } : {});
  };
  const folder = await Deno.makeTempDir({ prefix: "celgc-resume-" });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { pathname } = new URL(request.url), range = request.headers.get("range");
    ranges.push(`${pathname} ${range}`);
    return breaking(pathname === "/wrong" ? wrong : whole, range);
  });
  const base = `http://127.0.0.1:${server.addr.port}`, path = `${folder}/file`;
  const part = `${path}.${file.sha256.slice(0, 8)}.part`;
  try {
    const seen: DownloadProgress[] = [];
    await download({ urls: [`${base}/right`], ...file }, path, {
      onProgress: (p) => void seen.push(p),
    });
    assert.deepEqual(await Deno.readFile(path), whole);
    assert.deepEqual(ranges.splice(0), [
      "/right null",
      ...[700, 1400, 2100, 2800].map((from) => `/right bytes=${from}-`),
    ]);
    assert.ok(seen.every((p, i) => i === 0 || p.received >= seen[i - 1].received));
    assert.ok(seen.at(-1)!.received === 3000 && seen.at(-1)!.speed! > 0);
    // What an earlier call has left is gone on from.
    await Deno.writeFile(part, whole.subarray(0, 2500));
    await download({ urls: [`${base}/right`], ...file }, path);
    assert.deepEqual(ranges.splice(0), ["/right bytes=2500-"]);
    // A mirror with other bytes is seen by the hash, tried once more from the beginning, and left.
    await Deno.writeFile(part, whole.subarray(0, 2500));
    await download({ urls: [`${base}/wrong`, `${base}/right`], ...file }, path);
    assert.deepEqual(await Deno.readFile(path), whole);
    assert.deepEqual(ranges[0], "/wrong bytes=2500-");
    assert.deepEqual(ranges[1], "/wrong null");
    assert.ok(ranges.includes("/right null"), `${ranges}`);
    assert.deepEqual(listing(folder), ["file"]);
    // A part that is longer than the file, or whole, needs no line.
    await Deno.writeFile(part, whole);
    ranges.splice(0);
    await download({ urls: [`${base}/right`], ...file }, path);
    assert.deepEqual(ranges, []);
    // Two processes do not write to one part.
    using held = await Deno.open(part, { write: true, create: true });
    await held.lock(true);
    await assert.rejects(
      download({ urls: [`${base}/right`], ...file }, path),
      /is being fetched by another process/,
    );
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});
