import assert from "node:assert/strict";
import type { Options } from "../../../tasks/options/table.ts";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import {
  advise,
  describeSetting,
  fragmentsToPlan,
  type PlannedSetting,
  settingsToPlan,
} from "../../../tasks/plan/settings.ts";

const NOTHING = {
  ...{ rounds: 1, communicationShare: 0, hiddenSeconds: 0, bytesSent: 0, peakBytesSent: 0 },
};

const setting = (
  seconds: number,
  interval: number,
  compress: string,
  fragments = 1,
): PlannedSetting => ({
  ...NOTHING,
  ...{ seconds, interval, meanInterval: interval, compress, fragments },
});

Deno.test("the cheapest setting is the one that changes least, of those that are fast enough", () => {
  const settings = [
    setting(200, 4, "none"),
    setting(110, 8, "none"),
    setting(104, 8, "topk:0.01"),
    setting(105, 8, "int4", 2),
    setting(104, 8, "int8", 4),
    setting(105, 8, "int8", 2),
    setting(100, 16, "none"),
  ];
  const advised = (tolerance: number) => advise(settings, tolerance)!.cheapest;
  assert.equal(advised(0), settings[6]);
  assert.equal(advised(0.05), settings[5]);
  assert.equal(advised(0.1), settings[1]);
  assert.equal(advised(1), settings[0]);
  assert.equal(advise(settings, 0.05)!.fastest, settings[6]);
  assert.equal(describeSetting(settings[5]), "I = 8, int8, 2 fragments");
  assert.equal(describeSetting(settings[0]), "I = 4, no compression");
  // Of a schedule, the mean over the run counts.
  const schedule = { ...settings[1], interval: "1..9:1,16" as const, meanInterval: 7.5 };
  assert.equal(advise([...settings, schedule], 0.1)!.cheapest, schedule);
  assert.equal(advise([], 0.1), null);
});

Deno.test("what is given is not tried, and what cannot be is left out", () => {
  const among = (given: Partial<Options>, intervals = [1, 4] as Options["interval"][]) => {
    const settings = settingsToPlan(given, resolveOptions(given), intervals);
    const distinct = (name: "interval" | "compress" | "fragments") =>
      [...new Set(settings.map((each) => each[name]))].join();
    return [distinct("interval"), distinct("compress"), distinct("fragments"), settings.length];
  };
  const codecs = "none,bf16,int8,int4";
  assert.deepEqual(among({}), ["1,4", codecs, "1,2,4", 24]);
  assert.deepEqual(among({ compress: "topk:0.01" }), ["1,4", "topk:0.01", "1,2,4", 6]);
  assert.deepEqual(among({ compress: "none", fragments: 3 }), ["1,4", "none", "3", 2]);
  // A delay is no longer than I.
  assert.deepEqual(among({ overlap: true, delay: 2, interval: 4 }), ["4", codecs, "1,2,4", 12]);
  // What a rule keeps has no parts; nor have rounds that begin at one point.
  assert.deepEqual(among({ momentum: 0.9, averageStates: true }), ["1,4", codecs, "1", 8]);
  assert.deepEqual(among({ algorithm: "scaffold" }), ["1,4", codecs, "1", 8]);
  assert.deepEqual(among({ algorithm: "scaffold" }, ["1..4:1,8"]), ["", "", "", 0]);
  assert.deepEqual(among({ algorithm: "sparseloco" }), ["1,4", "none", "1", 2]);
  assert.deepEqual(fragmentsToPlan({}, resolveOptions({ algorithm: "diloco" })), [1, 2, 4]);
});
