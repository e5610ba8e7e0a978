import assert from "node:assert/strict";
import { OptionError } from "../../../tasks/options/kinds.ts";
import { OPTIONS } from "../../../tasks/options/table.ts";
import { axisOption, axisOptions, splitAxes } from "../../../tasks/sweep/axes.ts";

Deno.test("commas separate the values of an axis", () => {
  assert.deepEqual(axisOption(OPTIONS.interval).parse("1,2, 4"), [1, 2, 4]);
  assert.deepEqual(axisOption(OPTIONS.algorithm).parse("celgc,single"), ["celgc", "single"]);
  assert.equal(axisOption(OPTIONS.interval).parse("4"), 4);
});

Deno.test("an option whose values hold commas is an axis by semicolons alone", () => {
  const partition = axisOption(OPTIONS.partition), decayAt = axisOption(OPTIONS.decayAt);
  assert.equal(partition.parse("proportional:40,60"), "proportional:40,60");
  assert.deepEqual(partition.parse("iid;proportional:40,60"), ["iid", "proportional:40,60"]);
  assert.deepEqual(decayAt.parse("80,120"), [80, 120]);
  assert.deepEqual(decayAt.parse("80,120;150"), [[80, 120], [150]]);
  assert.deepEqual(decayAt.parse(";80"), [[], [80]]);
  assert.deepEqual(axisOption(OPTIONS.lr).parse("0.1;0.2"), [0.1, 0.2]);
  const link = axisOption(OPTIONS.link);
  assert.deepEqual(link.parse("1gbit;100mbit,20ms"), ["1gbit", "100mbit,20ms"]);
});

Deno.test("a switch can be an axis of on and off", () => {
  const nesterov = axisOption(OPTIONS.nesterov);
  assert.deepEqual(nesterov.parse("on,off"), [true, false]);
  assert.equal(nesterov.parse("off"), false);
  assert.throws(() => nesterov.parse("on,yes"), OptionError);
});

Deno.test("a wrong value among several is refused by the option's own rule", () => {
  assert.throws(
    () => axisOption(OPTIONS.interval).parse("1,two"),
    /--interval must be a whole number from 1, or a schedule such as .*, not "two"/,
  );
  assert.throws(() => axisOption(OPTIONS.interval).parse("1,,2"), OptionError);
  assert.throws(() => splitAxes({ interval: [1, 0] }), /--interval must be .*, not 0/);
});

Deno.test("an option that decides nothing of a run's numbers is no axis", () => {
  assert.equal(axisOptions().data, OPTIONS.data);
  const { axes, fixed } = splitAxes({ timeout: [1, 2], ranks: 2 });
  assert.deepEqual(axes, []);
  assert.deepEqual(fixed, { timeout: [1, 2], ranks: 2 });
});

Deno.test("arrays in code are axes; where a value is an array, arrays of arrays are", () => {
  const { axes, fixed } = splitAxes({
    interval: [4, 4, 1],
    decayAt: [80, 120],
    participants: [null, 2],
    momentum: 0.9,
  });
  assert.deepEqual(axes, [
    { name: "interval", values: [4, 1] },
    { name: "participants", values: [null, 2] },
  ]);
  assert.deepEqual(fixed, { decayAt: [80, 120], momentum: 0.9 });
  assert.deepEqual(splitAxes({ decayAt: [[80], []] }).axes, [
    { name: "decayAt", values: [[80], []] },
  ]);
  assert.throws(() => splitAxes({ interval: [] }), /--interval must have a value/);
});
