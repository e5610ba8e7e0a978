/** A GPU that fails, or cannot do what it is asked for: every way ends in one clear error, and nothing is given away. */

import assert from "node:assert/strict";
import { loadOnnxRuntimeNode } from "../../../deps.ts";
import { reasonOf } from "../../../runtime/base/errors.ts";
import type { Device, DeviceState, HostTensor, Session } from "../../../runtime/devices/device.ts";
import { DeviceError, type DeviceFault } from "../../../runtime/devices/faults/device_error.ts";
import { openDevice } from "../../../runtime/devices/open.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";
import { LOOK, PULL } from "./_tiny_models.ts";

interface Opened {
  readonly gpu: GPUDevice;
  readonly device: Device;
  readonly state: DeviceState;
  readonly session: Session;
}

/** Opens a GPU, whose WebGPU device the test gets as well, and a session there. */
async function withGpu(test: (opened: Opened) => Promise<void>): Promise<void> {
  const { prototype } = GPUAdapter, { requestDevice } = prototype;
  let gpu!: GPUDevice;
  prototype.requestDevice = async function (...args) {
    return gpu = await requestDevice.apply(this, args);
  };
  try {
    await using device = await openDevice("webgpu");
    const specs = [{ name: "w", dims: [2, 3] }, { name: "b", dims: [3] }];
    await using state = await device.allocate(specs);
    await state.write(Float32Array.from({ length: 9 }, (_, i) => i));
    await using session = await device.compile(LOOK, { state: [state] });
    await session.run({});
    await test({ gpu, device, state, session });
  } finally {
    prototype.requestDevice = requestDevice;
  }
}

const fails = (work: Promise<unknown>, fault: DeviceFault, message: RegExp) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof DeviceError, String(error));
    assert.equal(error.fault, fault);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });

function gpuTest(name: string, fn: (opened: Opened) => Promise<void>): void {
  Deno.test({ name: `${name}${webGpuNote}`, ignore: !hasWebGpu, fn: () => withGpu(fn) });
}

gpuTest("a GPU that is lost", async ({ gpu, device, state, session }) => {
  const pending = await session.submit({});
  gpu.destroy();
  const lost = /the GPU was lost \(.+\): a run goes on from its last checkpoint with --resume/;
  await fails(pending.outputs(), "lost", lost);
  await fails(session.run({}), "lost", lost);
  await fails(state.read(), "lost", lost);
  await fails(state.write(new Float32Array(9)), "lost", lost);
  await fails(device.allocate([{ name: "more", dims: [1] }]), "lost", lost);
  await fails(device.compile(LOOK, { state: [state] }), "lost", lost);
});

gpuTest("a GPU that has no memory left for variables", async ({ gpu, device }) => {
  // No test may really fill the memory, so the answer of the error scope is a stranger's.
  gpu.popErrorScope = () => Promise.resolve(new GPUOutOfMemoryError("none left"));
  const message = /the GPU has no 4\.0 MB of memory left: take a smaller --batch-size/;
  await fails(device.allocate([{ name: "more", dims: [1000, 1000] }]), "memory", message);
});

gpuTest("a GPU that has no memory left in the middle of a run", async ({ gpu, state, session }) => {
  const pending = await session.submit({});
  const error = new GPUOutOfMemoryError("Not enough memory left.\n  in a buffer");
  gpu.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
  const message =
    /the GPU has no memory left \(Not enough memory left\.\): take a smaller --batch-size/;
  await fails(pending.outputs(), "memory", message);
  await fails(session.run({}), "memory", message);
  await fails(state.read(), "memory", message);
});

gpuTest("a kernel that does not compile", async ({ gpu, session }) => {
  gpu.createShaderModule({ code: "fn f( {" });
  await fails(session.run({}), "refused", /the GPU refuses a command \(.*\): take --device cpu/);
});

gpuTest("a kernel of the engine's that does not compile", async ({ gpu, device }) => {
  const { createShaderModule } = GPUDevice.prototype;
  gpu.createShaderModule = (given) => createShaderModule.call(gpu, { ...given, code: "fn f( {" });
  await using session = await device.compile(PULL);
  const zeros = (...dims: number[]): HostTensor => {
    return { type: "float32", dims, data: new Float32Array(dims.reduce((a, b) => a * b, 1)) };
  };
  const feeds = { x: zeros(2, 3), lr: zeros(), w: zeros(2, 3), b: zeros(3) };
  const message = /the GPU refuses what computes .+ \(.*pipeline.*\): take --device cpu/;
  await fails(session.run(feeds), "refused", message);
});

gpuTest("a variable larger than the adapter binds", async ({ gpu, device }) => {
  const most = gpu.limits.maxStorageBufferBindingSize, dims = [most / 16 + 1, 4];
  const message = new RegExp(
    `the GPU cannot hold "wte" of shape \\[${dims}\\]: \\d+ MB, and this adapter binds buffers of ` +
      `\\d+ MB at most: take --device cpu`,
  );
  await fails(device.allocate([{ name: "b", dims: [1] }, { name: "wte", dims }]), "limit", message);
});

gpuTest("variables that cannot be laid out hide nothing of what goes wrong later", async ({
  gpu,
  device,
}) => {
  await assert.rejects(device.allocate([{ name: "", dims: [1] }]), /give it a name/);
  await assert.rejects(device.allocate([{ name: "w", dims: [0] }]), /positive integer/);
  // There is no scope of errors left open, which would have them instead of whoever computes.
  await assert.rejects(gpu.popErrorScope());
});

gpuTest("results that nobody has asked for are given back with their session", async ({
  gpu,
  device,
  state,
}) => {
  const alive = new Set<GPUBuffer>(), { createBuffer } = GPUDevice.prototype;
  gpu.createBuffer = (descriptor) => {
    const buffer = createBuffer.call(gpu, descriptor), { destroy } = buffer;
    if (descriptor.usage & GPUBufferUsage.MAP_READ) alive.add(buffer);
    buffer.destroy = () => {
      alive.delete(buffer);
      destroy.call(buffer);
    };
    return buffer;
  };
  const session = await device.compile(LOOK, { state: [state] });
  for (let run = 0; run < 20; run++) await session.submit({});
  assert.equal(alive.size, 2, "pages of 16 runs");
  await session[Symbol.asyncDispose]();
  assert.equal(alive.size, 0);
});

Deno.test("a profile that cannot be kept or read leaves neither files nor a session", async () => {
  const ort = await loadOnnxRuntimeNode(), { create } = ort.InferenceSession;
  const folder = await Deno.makeTempDir();
  let released = 0;
  await using device = await openDevice("cpu");
  await using state = await device.allocate([{ name: "w", dims: [7] }]);
  const counting = async (...args: Parameters<typeof create>) => {
    const session = await create.apply(ort.InferenceSession, args), { release } = session;
    session.release = () => (released++, release.call(session));
    return session;
  };
  ort.InferenceSession.create = counting as typeof create;
  try {
    const options = { profile: true, profileFolder: folder };
    const files = async () => (await Array.fromAsync(Deno.readDir(folder))).length;
    await assert.rejects(device.compile(Uint8Array.of(1, 2, 3), options), /cannot compile/);
    assert.equal(await files(), 0, "no model");
    await assert.rejects(device.compile(LOOK, { ...options, state: [state] }), /cannot bind/);
    assert.deepEqual([await files(), released], [0, 1], "variables that do not fit");
    const session = await device.compile(LOOK, options);
    await Deno.remove(folder, { recursive: true });
    await assert.rejects(async () => await session[Symbol.asyncDispose](), Deno.errors.NotFound);
    assert.equal(released, 2, "its profile is gone");
  } finally {
    ort.InferenceSession.create = create;
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
});

Deno.test("what cannot be given back hides no error before it", async () => {
  const ort = await loadOnnxRuntimeNode(), { create } = ort.InferenceSession;
  const folder = await Deno.makeTempDir();
  await using device = await openDevice("cpu");
  await using state = await device.allocate([{ name: "w", dims: [7] }]);
  let profiles = true;
  const failing = async (...args: Parameters<typeof create>) => {
    const session = await create.apply(ort.InferenceSession, args), { release } = session;
    session.release = async () => {
      await release.call(session);
      throw new Error("no release");
    };
    if (!profiles) {
      session.endProfiling = () => {
        throw new Error("no profile");
      };
    }
    return session;
  };
  ort.InferenceSession.create = failing as typeof create;
  const both = (error: SuppressedError) => [reasonOf(error), error.error].map(String);
  try {
    const options = { profile: true, profileFolder: folder };
    const bound = device.compile(LOOK, { ...options, state: [state] });
    const [first, second] = both(await bound.then(() => assert.fail(), (error) => error));
    assert.match(first, /cannot bind/);
    assert.equal(second, "Error: no release");
    profiles = false;
    const session = await device.compile(LOOK, options);
    await assert.rejects(session.endProfile(), /no profile/);
    const unread = await device.compile(LOOK, options);
    const ended = unread[Symbol.asyncDispose]();
    const errors = both(await ended.then(() => assert.fail(), (error) => error));
    assert.deepEqual(errors, ["Error: no profile", "Error: no release"]);
    await assert.rejects(async () => await session[Symbol.asyncDispose](), /no release/);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  } finally {
    ort.InferenceSession.create = create;
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: `a GPU that was given back is told apart from one that was lost${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const device = await openDevice("webgpu");
    await device[Symbol.asyncDispose]();
    await assert.rejects(device.allocate([{ name: "w", dims: [1] }]), /was disposed of/);
  },
});
