import assert from "node:assert/strict";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { openDevice, permissionsFor, resolveDevice } from "../../../runtime/devices/open.ts";
import { deno } from "../../_helpers/deno.ts";
import { hasWebGpu, webGpuNote } from "../../_helpers/web_gpu.ts";

// Without them in this process, which a lock file or other tests may bring, permissions are wider.
await resolveDevice("cpu");
await resolveDevice("wasm");

const PROGRAM = import.meta.resolve("./_open_program.ts");

/** Environment in which WebGPU finds no driver. */
const NO_GPU = { VK_DRIVER_FILES: "/dev/null/folder", DENO_WEBGPU_BACKEND: "vulkan" };

function run(flags: string[], choice: string, env: Record<string, string> = {}) {
  const args = ["run", "--quiet", "--no-prompt", "--no-check", ...flags, PROGRAM, choice];
  return deno(args, { env });
}

/** What a device needs, as flags of `deno run`; they are narrow once its engine is there. */
async function flagsFor(kind: DeviceKind): Promise<string[]> {
  await resolveDevice(kind);
  return permissionsFor(kind).map((name) => `--allow-${name}`);
}

for (const kind of ["cpu", "wasm", "webgpu"] as DeviceKind[]) {
  Deno.test(`${kind} runs quietly with the permissions it says it needs`, async () => {
    const flags = await flagsFor(kind);
    const { code, stdout, stderr } = await run(flags, kind);
    assert.equal(stderr, "");
    assert.equal(code, 0);
    const [description, result] = stdout.trimEnd().split("\n");
    assert.match(description, new RegExp(`^${kind}: .*onnxruntime-(node|web) \\d+\\.\\d+\\.\\d+`));
    assert.equal(result, "6 8 10 9 11 13");
    for (const flag of flags) assert.match(flag, /=./, "every permission is narrowed");
  });

  Deno.test(`${kind} without its permissions says which one it lacks`, async () => {
    const { code, stderr } = await run([], kind);
    assert.equal(code, 1);
    assert.match(stderr, kind === "cpu" ? /--allow-ffi/ : /--allow-read/);
  });
}

Deno.test("webgpu without an adapter says what is missing and the way out", async () => {
  const { code, stderr } = await run(["-A"], "webgpu", NO_GPU);
  assert.equal(code, 1);
  assert.match(stderr, /WebGPU found no adapter/);
  assert.match(stderr, /mesa-vulkan-drivers/);
  assert.match(stderr, /--device cpu/);
});

Deno.test("auto takes the CPU where there is no GPU", async () => {
  const { code, stdout, stderr } = await run(await flagsFor("cpu"), "auto", NO_GPU);
  assert.equal(stderr, "");
  assert.equal(code, 0);
  assert.match(stdout, /^cpu: .*, 1 thread\n/);
});

Deno.test("auto takes a software adapter for no GPU", async () => {
  assert.ok(hasWebGpu, "this test needs a WebGPU adapter: mesa-vulkan-drivers has one");
  const { info } = (await navigator.gpu.requestAdapter())!;
  const software = info.isFallbackAdapter || /llvmpipe|software/i.test(info.description);
  assert.equal(await resolveDevice("auto"), software ? "cpu" : "webgpu");
});

Deno.test({
  name: `of an adapter's features those are asked for that shaders can name${webGpuNote}`,
  ignore: !hasWebGpu,
  async fn() {
    const { prototype } = GPUAdapter, { requestDevice } = prototype;
    const { has } = GPUSupportedFeatures.prototype;
    const asked: string[] = [];
    GPUSupportedFeatures.prototype.has = function (name) {
      return name === "subgroups" || has.call(this, name);
    };
    prototype.requestDevice = function (descriptor) {
      asked.push(...descriptor?.requiredFeatures ?? []);
      return requestDevice.call(this, descriptor);
    };
    try {
      await using _device = await openDevice("webgpu");
    } finally {
      Object.assign(prototype, { requestDevice });
      Object.assign(GPUSupportedFeatures.prototype, { has });
    }
    // A device of each, and a shader that names it.
    const adapter = await navigator.gpu.requestAdapter();
    for (const feature of asked.filter((name) => name !== "timestamp-query")) {
      const gpu = await adapter!.requestDevice({ requiredFeatures: [feature as GPUFeatureName] });
      gpu.pushErrorScope("validation");
      const name = feature.replace("shader-", "");
      gpu.createShaderModule({ code: `enable ${name};\n@compute @workgroup_size(1) fn main() {}` });
      assert.equal(await gpu.popErrorScope(), null, feature);
      gpu.destroy();
    }
  },
});

Deno.test("an unknown device and a wrong number of threads are errors", async () => {
  await assert.rejects(openDevice("tpu" as never), /no device "tpu": there are "auto", "webgpu"/);
  await assert.rejects(openDevice("cpu", { threads: 0 }), /with 0 threads/);
  await assert.rejects(openDevice("cpu", { threads: 1.5 }), RangeError);
});

Deno.test({
  name: "the CPU device says how many threads it has",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using device = await openDevice("cpu", { threads: 2 });
    assert.match(device.description, /, 2 threads$/);
  },
});
