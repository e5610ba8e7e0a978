import assert from "node:assert/strict";
import { join } from "node:path";
import { WriteError } from "../../../../tasks/run/write_error.ts";
import { readSpans, type Span, SPANS_FILE } from "../../../../tasks/trace/spans.ts";
import { SpanLog } from "../../../../tasks/training/records/span_log.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const span = (start: number): Span => ({
  kind: "checkpoint",
  name: "checkpoint",
  start,
  milliseconds: 1,
  of: { step: 3 },
});

Deno.test("spans count from the first step; those before it, and before anybody knows of it, are none", async () => {
  await using folder = await temporaryFolder();
  {
    using log = new SpanLog(folder.path, false);
    log.note(span(5));
    log.begin(10);
    log.begin(1000);
    log.note(span(30), span(12));
  }
  assert.deepEqual((await readSpans(folder.path)).map(({ start }) => start), [2, 20]);
});

Deno.test({
  name: "a full disk is told with the file and the way out",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using folder = await temporaryFolder();
    await Deno.symlink("/dev/full", join(folder.path, SPANS_FILE));
    using log = new SpanLog(folder.path, true);
    assert.throws(() => log.begin(0), (error) => {
      assert.ok(error instanceof WriteError, String(error));
      assert.match(error.message, /spans\.jsonl: .*: make room/);
      return true;
    });
  },
});
