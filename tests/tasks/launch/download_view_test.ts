import assert from "node:assert/strict";
import { describeProgress, openDownloadView } from "../../../tasks/launch/download_view.ts";

const url = "http://example.org/file";

Deno.test("a download in a pipe says share, speed and time left at each tenth; --quiet nothing", async () => {
  const said: string[] = [], total = 170_000_000;
  for (const kind of ["lines", "silent"] as const) {
    await using view = openDownloadView(kind, (line) => void said.push(line));
    view.onProgress({ url, received: 0, total, speed: null });
    for (let received = 1_000_000; received <= total; received += 1_000_000) {
      view.onProgress({ url, received, total, speed: 73_000 });
    }
  }
  assert.equal(said.length, 11);
  assert.equal(said[0], `fetching ${url}: 0 %, 0 B of 170 MB`);
  assert.equal(said[5], `fetching ${url}: 50 %, 85 MB of 170 MB, 73 kB/s, 19m25s left`);
  assert.equal(said[10], `fetching ${url}: 100 %, 170 MB of 170 MB, 73 kB/s`);
});

Deno.test("where no size is known, bytes and speed are said alone", () => {
  const parts = describeProgress({ url, received: 5000, total: null, speed: 1000 });
  assert.deepEqual(parts, ["5 kB", "1 kB/s"]);
  const long = describeProgress({ url, received: 0, total: 7_260_000, speed: 1000 });
  assert.equal(long.at(-1), "2h01m left");
});
