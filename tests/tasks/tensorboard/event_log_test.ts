import assert from "node:assert/strict";
import type { MetricRecord } from "../../../tasks/logs/records.ts";
import { crc32c } from "../../../tasks/tensorboard/event_file.ts";
import { EVENT_FOLDER, EventLog } from "../../../tasks/tensorboard/event_log.ts";
import { hasModule, runPython } from "../../_helpers/peers/python.ts";
import { temporaryFolder } from "../../_helpers/temporary_folder.ts";
import { position } from "../run_folder.ts";

const step = (t: number, rank: number, loss: number) =>
  ({
    type: "step",
    ...position(t, 4),
    rank,
    loss,
    gradNorm: 2 * loss,
    clipped: rank === 0,
    lr: 0.5,
    clip: 0.25,
    stepMs: 10,
    syncMs: 1,
  }) as MetricRecord;

const round = (t: number, driftBound: number | null) =>
  ({
    type: "round",
    ...position(t, 4),
    syncMs: 3,
    drift: 0.125,
    driftBound,
    participants: [0, 1],
  }) as MetricRecord;

const evaluation = (t: number, more: object) =>
  ({ type: "eval", ...position(t, 4), count: 1, ...more }) as MetricRecord;

/** What TensorBoard would show: by tag the pairs of step and value; read by Google's own protobuf. */
async function shown(folder: string): Promise<Record<string, [number, number | null][]>> {
  const output = await runPython(new URL("./read_events.py", import.meta.url), [], [folder]);
  return JSON.parse(new TextDecoder().decode(output));
}

/** Debian's python3-protobuf; the package of ONNX brings it. */
const hasProtobuf = await hasModule("google.protobuf");
const note = hasProtobuf ? "" : " (skipped: python3-protobuf is not installed)";

Deno.test("the checksum is that of RFC 3720, appendix B.4", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  assert.equal(crc32c(ascending.toReversed()), 0x113fdb5c);
});

Deno.test({
  name: `steps are means over the ranks; rounds and evaluations stand under their names${note}`,
  ignore: !hasProtobuf,
}, async () => {
  await using folder = await temporaryFolder();
  {
    await using log = await EventLog.open(folder.path, 2, null);
    const records = [
      evaluation(0, { loss: 4, accuracy: 0.125 }),
      step(1, 0, 1),
      step(2, 0, NaN),
      step(1, 1, 2),
      round(2, null),
      step(2, 1, 1e300),
      round(4, 1.5),
      evaluation(4, { split: "valid", loss: 1, perplexity: 8 }),
      step(3, 1, 8),
    ];
    for (const record of records) log.take(record);
  }
  const values = await shown(`${folder.path}/${EVENT_FOLDER}`);
  assert.deepEqual(values["step/loss"], [[1, 1.5], [2, null], [3, 8]]);
  assert.deepEqual(values["step/gradient_norm"]?.[0], [1, 3]);
  assert.deepEqual(values["step/clipped"], [[1, 0.5], [2, 0.5], [3, 0]]);
  assert.deepEqual(values["step/learning_rate"], [[1, 0.5], [2, 0.5], [3, 0.5]]);
  assert.deepEqual(values["round/drift"], [[2, 0.125], [4, 0.125]]);
  assert.deepEqual(values["round/drift_bound"], [[4, 1.5]]);
  assert.deepEqual(values["test/accuracy"], [[0, 0.125]]);
  assert.deepEqual([values["valid/loss"], values["valid/perplexity"]], [[[4, 1]], [[4, 8]]]);
});

Deno.test({
  name: `what a run that goes on from a checkpoint has logged behind it no longer counts${note}`,
  ignore: !hasProtobuf,
}, async () => {
  await using folder = await temporaryFolder();
  {
    await using log = await EventLog.open(folder.path, 1, null);
    for (const t of [1, 2, 3, 4]) log.take(step(t, 0, t));
  }
  {
    await using log = await EventLog.open(folder.path, 1, 2);
    for (const t of [3, 4, 5]) log.take(step(t, 0, 10 * t));
  }
  const { "step/loss": losses } = await shown(`${folder.path}/${EVENT_FOLDER}`);
  assert.deepEqual(losses, [[1, 1], [2, 2], [3, 30], [4, 40], [5, 50]]);
});

Deno.test("files begun in one millisecond, or after the clock has been set back, stand in their order", async () => {
  await using folder = await temporaryFolder();
  const ahead = "events.out.tfevents.99999999999000.celgc";
  await Deno.mkdir(`${folder.path}/${EVENT_FOLDER}`);
  await Deno.writeFile(`${folder.path}/${EVENT_FOLDER}/${ahead}`, new Uint8Array());
  for (let run = 0; run < 3; run++) {
    await using _log = await EventLog.open(folder.path, 1, null);
  }
  const names = (await Array.fromAsync(Deno.readDir(`${folder.path}/${EVENT_FOLDER}`))).map((
    { name },
  ) => name).sort();
  const begun = [1, 2, 3].map((more) => `events.out.tfevents.9999999999900${more}.celgc`);
  assert.deepEqual(names, [ahead, ...begun]);
});
