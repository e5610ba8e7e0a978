import assert from "node:assert/strict";
import type {
  Device,
  DeviceKind,
  HostTensor,
  Submission,
} from "../../../runtime/devices/device.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { LOOK, model, PULL } from "./_tiny_models.ts";

/** Declared in another order than the model's inputs, with one more that no model reads. */
const SPECS = [
  { name: "b", dims: [3] },
  { name: "unread", dims: [2] },
  { name: "w", dims: [2, 3] },
];
const START = Float32Array.of(10, 20, 30, -1, -2, 1, 2, 3, 4, 5, 6);
const UPDATES = { "w.next": "w", "b.next": "b" };

function float32(dims: number[], ...values: number[]): HostTensor {
  return { type: "float32", dims, data: Float32Array.from(values) };
}

/** The same body on every device. The software GPU stands in where there is no other. */
function onEveryDevice(name: string, body: (device: Device) => Promise<void>): void {
  for (const kind of ["cpu", "wasm", "webgpu"] as DeviceKind[]) {
    Deno.test({
      name: `${kind}: ${name}`,
      // The engines keep threads, timers and wasm memory for the life of the process.
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        await using device = await openDevice(kind);
        await body(device);
      },
    });
  }
}

/** Steps of the PULL model in this language's arithmetic, rounded as float32 at every operation. */
function pull(w: Float32Array, b: Float32Array, x: Float32Array, lr: number): void {
  lr = Math.fround(lr);
  for (let i = 0; i < w.length; i++) w[i] -= Math.fround(Math.fround(w[i] - x[i]) * lr);
  for (let i = 0; i < b.length; i++) b[i] += Math.fround(b[i] * lr);
}

onEveryDevice("steps update the variables as plain arithmetic does", async (device) => {
  await using state = await device.allocate(SPECS);
  assert.equal(state.length, 11);
  assert.deepEqual(state.range("w"), { offset: 5, length: 6 });
  assert.deepEqual(await state.read(), new Float32Array(11));
  await state.write(START);
  await using session = await device.compile(PULL, { state: [state], updates: UPDATES });
  assert.deepEqual(session.inputs, ["x", "lr"]);
  assert.deepEqual(session.outputs, ["sum"]);

  const w = START.slice(5), b = START.slice(0, 3);
  for (let step = 0; step < 5; step++) {
    const x = float32([2, 3], ...w.map((_, i) => step * 7 - i));
    const lr = 0.25 / (step + 1);
    const before = w.reduce((sum, value) => sum + value);
    const { sum } = await session.run({ x, lr: float32([], lr) });
    assert.deepEqual(sum.dims, []);
    assert.ok(Math.abs(sum.data[0] as number - before) <= 1e-5 * Math.abs(before));
    pull(w, b, x.data as Float32Array, lr);
    const flat = await state.read();
    assertClose(flat, Float32Array.of(...b, -1, -2, ...w), 1e-6);
  }
});

onEveryDevice("what is fetched ahead is what variables are when they are read", async (device) => {
  await using state = await device.allocate(SPECS);
  await state.write(START);
  await using session = await device.compile(PULL, { state: [state], updates: UPDATES });
  const step = () => session.run({ x: float32([2, 3], 0, 0, 0, 0, 0, 0), lr: float32([], 0.5) });
  const halved = (values: Float32Array) =>
    values.map((x, i) => i < 3 ? 1.5 * x : i < 5 ? x : x / 2);
  state.prefetch();
  state.prefetch();
  assert.deepEqual(await state.read(), START);
  assert.deepEqual(await state.read(), START);
  state.prefetch();
  await step();
  assert.deepEqual(await state.read(), halved(START));
  state.prefetch();
  await state.edit((flat) => {
    assert.deepEqual(flat, halved(START));
    flat.set(START);
  });
  state.prefetch();
  assert.deepEqual(await state.read(undefined, ["b"]), START.slice(0, 3));
  const submission = await session.submit({
    x: float32([2, 3], 0, 0, 0, 0, 0, 0),
    lr: float32([], 0.5),
  });
  state.prefetch();
  await submission.outputs();
  assert.deepEqual(await state.read(), halved(START));
  state.prefetch();
  await state.write(START);
  assert.deepEqual(await state.read(), START);
  state.prefetch();
});

onEveryDevice("two sessions share one state", async (device) => {
  await using state = await device.allocate(SPECS);
  await state.write(START);
  await using train = await device.compile(PULL, { state: [state], updates: UPDATES });
  await using look = await device.compile(LOOK, { state: [state] });
  const feeds = { x: float32([2, 3], 0, 0, 0, 0, 0, 0), lr: float32([], 0.5) };
  const w = START.slice(5), b = START.slice(0, 3);
  for (let step = 0; step < 3; step++) {
    const { y } = await look.run({});
    assertClose(y.data as Float32Array, w.map((value, i) => value + b[i % 3]), 1e-6);
    await train.run(feeds);
    pull(w, b, feeds.x.data as Float32Array, 0.5);
  }
  // A session that updates only one of the variables leaves the others alone.
  await using half = await device.compile(PULL, { state: [state], updates: { "b.next": "b" } });
  const result = await half.run(feeds);
  assert.deepEqual(Object.keys(result).sort(), ["sum", "w.next"]);
  b.forEach((value, i) => b[i] = value * 1.5);
  assertClose(await state.read(), Float32Array.of(...b, -1, -2, ...w), 1e-6);
});

onEveryDevice("variables of one model may lie in several states", async (device) => {
  await using weights = await device.allocate([{ name: "w", dims: [2, 3] }]);
  await using biases = await device.allocate([{ name: "b", dims: [3] }]);
  await weights.write(START.slice(5));
  await biases.write(START.slice(0, 3));
  await using session = await device.compile(PULL, {
    state: [weights, biases],
    updates: UPDATES,
  });
  for (let step = 0; step < 3; step++) {
    await session.run({ x: float32([2, 3], 0, 0, 0, 0, 0, 0), lr: float32([], 0.5) });
  }
  assertClose(await weights.read(), START.slice(5).map((value) => value / 8), 1e-6);
  assertClose(await biases.read(), START.slice(0, 3).map((value) => value * 1.5 ** 3), 1e-6);
});

onEveryDevice("runs asked for at once take place in order", async (device) => {
  await using state = await device.allocate(SPECS);
  await state.write(START);
  await using session = await device.compile(PULL, { state: [state], updates: UPDATES });
  const runs = [];
  for (let step = 0; step < 4; step++) {
    const x = float32([2, 3], ...Array(6).fill(step));
    runs.push(session.run({ x, lr: float32([], 1) }));
  }
  const sums = (await Promise.all(runs)).map(({ sum }) => sum.data[0]);
  assert.deepEqual(sums, [21, 0, 6, 12]);
  assert.deepEqual((await state.read()).slice(5), new Float32Array(6).fill(3));
});

onEveryDevice("submitted runs take their feeds at once and keep their outputs", async (device) => {
  await using state = await device.allocate(SPECS);
  await state.write(START);
  await using session = await device.compile(PULL, { state: [state], updates: UPDATES });
  // One array for all: each run has taken it before the next one fills it. More runs than are brought
  // back at a time, with a question in between.
  const x = float32([2, 3], ...Array(6).fill(0)), lr = float32([], 1);
  const submissions: Submission[] = [];
  for (let step = 0; step < 40; step++) {
    x.data.fill(step as never);
    submissions.push(await session.submit({ x, lr }));
    if (step === 20) assert.equal((await submissions[19].outputs()).sum.data[0], 6 * 18);
  }
  const busy = submissions.filter(({ ready }) => !ready).length;
  if (device.kind === "webgpu") assert.ok(busy >= 19 && busy < 40, `${busy} are under way`);
  else assert.equal(busy, 0);
  // In any order, and with the variables read before.
  assert.deepEqual((await state.read()).slice(5), new Float32Array(6).fill(39));
  for (let step = 39; step >= 0; step--) {
    const outputs = await submissions[step].outputs();
    assert.equal(outputs.sum.data[0], step === 0 ? 21 : 6 * (step - 1));
    assert.ok(submissions[step].ready);
    assert.equal(await submissions[step].outputs(), outputs);
  }
  await assert.rejects(session.submit({ x }), /"lr" .* was not fed/);
});

onEveryDevice("outputs outlive their session if they were asked for", async (device) => {
  const session = await device.compile(
    model([["x", "float32", [3]]], [["y", "float32", [3]]], [["Neg", ["x"], ["y"]]]),
  );
  const x = float32([3], 1, 2, 3);
  const asked = (await session.submit({ x })).outputs();
  const late = await session.submit({ x: float32([3], 4, 5, 6) });
  const last = session.run({ x: float32([3], 7, 8, 9) });
  await session[Symbol.asyncDispose]();
  assert.deepEqual((await asked).y.data, Float32Array.of(-1, -2, -3));
  assert.deepEqual((await last).y.data, Float32Array.of(-7, -8, -9));
  // It shares its page with the last.
  assert.deepEqual((await late.outputs()).y.data, Float32Array.of(-4, -5, -6));
  await assert.rejects(session.submit({ x }), /a session that was disposed of/);
});

onEveryDevice("edit changes the variables in place and read copies them", async (device) => {
  await using state = await device.allocate(SPECS);
  await state.write(START);
  await using look = await device.compile(LOOK, { state: [state] });
  await state.edit(async (flat) => {
    assert.deepEqual(flat, START);
    await Promise.resolve();
    flat.forEach((value, i) => flat[i] = 2 * value);
    await assert.rejects(look.run({}), /cannot run on a state that is being edited/);
    await assert.rejects(state.read(), /cannot read a state that is being edited/);
  });
  const into = new Float32Array(11);
  assert.equal(await state.read(into), into);
  assert.deepEqual(into, START.map((value) => 2 * value));
  into.fill(0);
  const { y } = await look.run({});
  assert.deepEqual(y.data, Float32Array.of(22, 44, 66, 28, 50, 72));
  await assert.rejects(
    state.edit(() => {
      throw new Error("changed my mind");
    }),
    /changed my mind/,
  );
  assert.deepEqual((await state.read()).slice(0, 3), Float32Array.of(20, 40, 60));
});

onEveryDevice("some variables are read and written as they are named", async (device) => {
  await using state = await device.allocate(SPECS);
  await state.write(START);
  const names = ["w", "b"], some = await state.read(undefined, names);
  assert.deepEqual(some, Float32Array.of(1, 2, 3, 4, 5, 6, 10, 20, 30));
  await state.write(Float32Array.of(-5, -6, 7, 8, 9), ["unread", "b"]);
  assert.deepEqual(await state.read(), Float32Array.of(7, 8, 9, -5, -6, 1, 2, 3, 4, 5, 6));
  assert.deepEqual(await state.read(undefined, []), new Float32Array());
  await assert.rejects(state.read(undefined, ["v"]), /no variable "v" in this state of 3/);
  await assert.rejects(state.write(new Float32Array(4), ["b"]), /of 3 floats with an array of 4/);
});

onEveryDevice("a wrong feed is an error that names both values", async (device) => {
  await using state = await device.allocate(SPECS);
  await using session = await device.compile(PULL, { state: [state], updates: UPDATES });
  const x = float32([2, 3], 1, 2, 3, 4, 5, 6), lr = float32([], 1);
  const cases: [Record<string, HostTensor>, RegExp][] = [
    [{ x }, /"lr" \(float32\[\]\) was not fed/],
    [{ x, lr, z: x }, /cannot feed "z": the model has no such input; it takes x, lr/],
    [{ x, lr, w: x }, /cannot feed "w": it is a variable/],
    [{ x: float32([3, 2], 1, 2, 3, 4, 5, 6), lr }, /"x": the model takes \[2,3\], got \[3,2\]/],
    [{ x: float32([2, 3], 1, 2, 3), lr }, /shape \[2,3\] has 6 elements, got 3/],
    [
      { x: { type: "int32", dims: [2, 3], data: new Int32Array(6) }, lr },
      /takes float32, got int32/,
    ],
    [
      { x: { type: "float32", dims: [2, 3], data: new Float64Array(6) } as never, lr },
      /float32 data is a Float32Array, got Float64Array/,
    ],
    [{ x: [1, 2, 3] as never, lr }, /need { type, dims, data }/],
  ];
  for (const [feeds, message] of cases) await assert.rejects(session.run(feeds), message);
  // None of them ran, and none of them spoiled the session.
  const { sum } = await session.run({ x, lr });
  assert.equal(sum.data[0], 0);
  assert.deepEqual((await state.read()).slice(5), x.data);
});

onEveryDevice("a binding that does not fit the model is an error", async (device) => {
  await using state = await device.allocate(SPECS);
  await using square = await device.allocate([{ name: "w", dims: [3, 3] }]);
  const cases: [Parameters<Device["compile"]>[1], RegExp][] = [
    [{ state: [square] }, /input "w": the model says \[2,3\], variable "w" is \[3,3\]/],
    [{ state: [state, square] }, /"w": two of the states/],
    [{ state: [state], updates: { "v.next": "w" } }, /the model has no such output/],
    [{ state: [state], updates: { "w.next": "v" } }, /no state has such a variable/],
    [{ state: [state], updates: { "w.next": "b" } }, /output "w.next".*\[2,3\].*"b" is \[3\]/],
    [{ state: [state], updates: { "w.next": "w", "sum": "w" } }, /both "w.next" and "sum"/],
    [{ state: [{} as never] }, /a state of another device/],
  ];
  for (const [options, message] of cases) {
    await assert.rejects(device.compile(PULL, options), message);
  }
  await assert.rejects(device.compile(new Uint8Array([1, 2, 3])), /cannot compile the model for/);
  await assert.rejects(
    device.compile(model([["x", "float32", [1]]], [["y", "float32", [1]]], [["Nonsense", ["x"], [
      "y",
    ]]])),
    /cannot compile the model for .*Nonsense/s,
  );
});

onEveryDevice("variables need names, shapes and room", async (device) => {
  await assert.rejects(device.allocate([{ name: "", dims: [1] }]), /give it a name/);
  await assert.rejects(device.allocate([{ name: "w", dims: [2, 0] }]), /\[2,0\]/);
  await assert.rejects(device.allocate([{ name: "w", dims: [1.5] }]), /positive integer/);
  await assert.rejects(
    device.allocate([{ name: "w", dims: [1] }, { name: "w", dims: [2] }]),
    /"w" twice/,
  );
  await using state = await device.allocate(SPECS);
  assert.throws(() => state.range("v"), /no variable "v" in this state of 3: b, unread, w/);
  await assert.rejects(state.write(new Float32Array(10)), /state of 11 floats with an array of 10/);
  await assert.rejects(state.read(new Float32Array(12)), /state of 11 floats with an array of 12/);
  await assert.rejects(state.write([1] as never), /need a Float32Array/);
});

onEveryDevice("nothing can be used after it was disposed of", async (device) => {
  const state = await device.allocate(SPECS);
  const session = await device.compile(LOOK, { state: [state] });
  await session[Symbol.asyncDispose]();
  await session[Symbol.asyncDispose]();
  await assert.rejects(session.run({}), /a session that was disposed of/);

  const second = await device.compile(LOOK, { state: [state] });
  await state[Symbol.asyncDispose]();
  await state[Symbol.asyncDispose]();
  await assert.rejects(state.read(), /cannot read a state that was disposed of/);
  await assert.rejects(state.write(START), /cannot write a state that was disposed of/);
  await assert.rejects(state.edit(() => {}), /cannot edit a state that was disposed of/);
  await assert.rejects(second.run({}), /cannot run on a state that was disposed of/);
  await assert.rejects(device.compile(LOOK, { state: [state] }), /disposed of/);
  await second[Symbol.asyncDispose]();

  await device[Symbol.asyncDispose]();
  await assert.rejects(device.allocate(SPECS), /device was disposed of/);
  await assert.rejects(device.compile(LOOK), /device was disposed of/);
});

onEveryDevice("every element type goes in and comes out", async (device) => {
  const cast = model(
    [["i", "int32", [3]], ["l", "int64", [3]], ["f", "float32", [3]]],
    [["i2", "int32", [3]], ["l2", "int64", [3]], ["less", "bool", [3]]],
    [
      ["Add", ["i", "i"], ["i2"]],
      ["Identity", ["l"], ["l2"]],
      ["Cast", ["i"], ["if"], { to: 1 }],
      ["Less", ["f", "if"], ["less"]],
    ],
  );
  await using session = await device.compile(cast);
  const { i2, l2, less } = await session.run({
    i: { type: "int32", dims: [3], data: Int32Array.of(1, -2, 3) },
    l: { type: "int64", dims: [3], data: BigInt64Array.of(5n, -6n, 7n) },
    f: float32([3], 0.5, 0.5, 3),
  });
  assert.deepEqual(i2.data, Int32Array.of(2, -4, 6));
  assert.deepEqual(l2.data, BigInt64Array.of(5n, -6n, 7n));
  assert.deepEqual(less, { type: "bool", dims: [3], data: Uint8Array.of(1, 0, 0) });
});

onEveryDevice("a profile names every node that ran, and where", async (device) => {
  await using state = await device.allocate(SPECS);
  await using session = await device.compile(PULL, {
    state: [state],
    updates: UPDATES,
    profile: true,
  });
  const feeds = { x: float32([2, 3], 0, 0, 0, 0, 0, 0), lr: float32([], 0.5) };
  for (let step = 0; step < 2; step++) await session.run(feeds);
  const times = await session.endProfile();
  const operators = times.map(({ operator }) => operator).sort();
  const once = ["Add", "Mul", "Mul", "ReduceSum", "Sub", "Sub"];
  assert.deepEqual(operators, [...once, ...once].sort());
  const provider = device.kind === "webgpu" ? "WebGpuExecutionProvider" : "CPUExecutionProvider";
  for (const time of times) {
    assert.equal(time.provider, provider);
    assert.ok(time.milliseconds >= 0 && time.node.startsWith(time.operator));
  }
  await assert.rejects(session.endProfile(), /compile the session with { profile: true }/);
  await session.run(feeds);

  await using plain = await device.compile(LOOK, { state: [state] });
  await assert.rejects(plain.endProfile(), /compile the session with { profile: true }/);
  // One that nobody asks for is not printed.
  await using _unread = await device.compile(LOOK, { state: [state], profile: true });
});

onEveryDevice(
  "a graph that is not to be optimized runs node by node on the CPU",
  async (device) => {
    const bytes = model([["x", "float32", [2]]], [["y", "float32", [2]]], [
      ["Neg", ["x"], ["a"]],
      ["Identity", ["a"], ["b"]],
      ["Neg", ["b"], ["y"]],
    ]);
    const operatorsOf = async (optimize: boolean) => {
      await using session = await device.compile(bytes, { profile: true, optimize });
      const { y } = await session.run({ x: float32([2], 3, -4) });
      assert.deepEqual(y.data, Float32Array.of(3, -4));
      return (await session.endProfile()).map(({ operator }) => operator);
    };
    const written = device.kind === "webgpu" ? ["Neg", "Neg"] : ["Neg", "Identity", "Neg"];
    assert.deepEqual(await operatorsOf(false), written);
    assert.deepEqual(await operatorsOf(true), ["Neg", "Neg"]);
  },
);

onEveryDevice("a GPU records its commands if every node runs there", async (device) => {
  await using state = await device.allocate(SPECS);
  await state.write(START);
  const options = { state: [state], updates: UPDATES };
  await using recorded = await device.compile(PULL, options);
  await using plain = await device.compile(PULL, { ...options, capture: false });
  assert.equal(recorded.captured, device.kind === "webgpu");
  assert.equal(plain.captured, false);
  // WebGPU has no kernel for Sign.
  const sign = model([["x", "float32", [3]]], [["y", "float32", [3]]], [["Sign", ["x"], ["y"]]]);
  await using mixed = await device.compile(sign);
  assert.equal(mixed.captured, false);
  assert.deepEqual(
    (await mixed.run({ x: float32([3], -2, 0, 3) })).y.data,
    Float32Array.of(-1, 0, 1),
  );
  // Runs in turn, on the same variables, see each other's updates.
  const w = START.slice(5), b = START.slice(0, 3);
  for (const session of [recorded, plain, recorded, recorded, plain]) {
    await session.run({ x: float32([2, 3], 1, 1, 1, 1, 1, 1), lr: float32([], 0.5) });
    pull(w, b, new Float32Array(6).fill(1), 0.5);
    assertClose(await state.read(), Float32Array.of(...b, -1, -2, ...w), 1e-6);
  }
});

onEveryDevice("sessions asked for at once are all made", async (device) => {
  await using state = await device.allocate(SPECS);
  await state.write(START);
  const sessions = await Promise.all(
    Array.from({ length: 4 }, () => device.compile(LOOK, { state: [state] })),
  );
  const results = await Promise.all(sessions.map((session) => session.run({})));
  for (const { y } of results) assert.deepEqual(y.data, Float32Array.of(11, 22, 33, 14, 25, 36));
  for (const session of sessions) await session[Symbol.asyncDispose]();
});

function assertClose(actual: Float32Array, expected: Float32Array, relative: number): void {
  assert.equal(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) {
    const limit = relative * Math.max(1, Math.abs(expected[i]));
    assert.ok(
      Math.abs(actual[i] - expected[i]) <= limit,
      `element ${i}: ${actual[i]} is not ${expected[i]}`,
    );
  }
}
