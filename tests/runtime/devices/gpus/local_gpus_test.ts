/** A GPU for each rank: chosen among lists, and among drivers that are Mesa's software under other names. */

import assert from "node:assert/strict";
import {
  chooseGpus,
  type GpuQuestions,
  THIS_HOST,
  type Variables,
} from "../../../../runtime/devices/gpus/local_gpus.ts";
import type { VulkanDevice } from "../../../../runtime/devices/gpus/vulkan.ts";
import { run } from "../../../_helpers/jobs.ts";
import { temporaryFolder } from "../../../_helpers/temporary_folder.ts";

const linux = Deno.build.os === "linux";
const software: VulkanDevice = {
  name: "llvmpipe",
  kind: "cpu",
  vendor: 65541,
  device: 0,
  pci: null,
};
const gpu = (device: number, bus: number, kind: VulkanDevice["kind"] = "discrete") =>
  ({ name: `GPU ${device}`, kind, vendor: 0x10de, device, pci: `0000:0${bus}:00.0` }) as const;

/** A host whose layer obeys, or does not. */
function host(devices: readonly VulkanDevice[], obeys = true): GpuQuestions {
  return {
    list(variables: Variables) {
      const { MESA_VK_DEVICE_SELECT: model, DRI_PRIME: place } = variables;
      const found = devices.find((device) =>
        model === `${device.vendor.toString(16)}:${device.device.toString(16)}` ||
        place === `pci-${device.pci?.replace(/[:.]/g, "_")}`
      );
      return Promise.resolve(found && obeys ? [found] : devices);
    },
  };
}

const ALONE = { MESA_VK_DEVICE_SELECT_FORCE_DEFAULT_DEVICE: "1" };

Deno.test({
  name: "local ranks take GPUs in turn: by model, by their place where models are alike",
  ignore: !linux,
  async fn() {
    const unlike = await chooseGpus(3, {}, host([gpu(1, 1), software, gpu(2, 2)]));
    assert.deepEqual(unlike, {
      variables: [
        { MESA_VK_DEVICE_SELECT: "10de:1", ...ALONE, CELGC_GPU: "1 of 2, GPU 1 at 0000:01:00.0" },
        { MESA_VK_DEVICE_SELECT: "10de:2", ...ALONE, CELGC_GPU: "2 of 2, GPU 2 at 0000:02:00.0" },
        { MESA_VK_DEVICE_SELECT: "10de:1", ...ALONE, CELGC_GPU: "1 of 2, GPU 1 at 0000:01:00.0" },
      ],
      notes: [],
    });
    const alike = await chooseGpus(2, {}, host([gpu(1, 1), gpu(1, 2), gpu(9, 0, "integrated")]));
    assert.deepEqual(alike.variables.map(({ DRI_PRIME }) => DRI_PRIME), [
      "pci-0000_01_00_0",
      "pci-0000_02_00_0",
    ]);
  },
});

Deno.test({
  name: "nothing is chosen for one GPU or one rank, or against the user, or where nothing obeys",
  ignore: !linux,
  async fn() {
    const none = { variables: [], notes: [] };
    assert.deepEqual(await chooseGpus(2, {}, host([gpu(1, 1), software])), none);
    assert.deepEqual(await chooseGpus(2, {}, host([])), none);
    assert.deepEqual(await chooseGpus(1, {}, host([gpu(1, 1), gpu(2, 2)])), none);
    const own = await chooseGpus(2, { DRI_PRIME: "1" }, host([gpu(1, 1), gpu(2, 2)], false));
    assert.deepEqual(own, {
      variables: [],
      notes: ["all ranks of this host take the GPU that DRI_PRIME chooses"],
    });
    const deaf = await chooseGpus(2, {}, host([gpu(1, 1), gpu(2, 2)], false));
    assert.deepEqual(deaf.variables, []);
    assert.match(
      deaf.notes[0],
      /share the first of its 2 GPUs, GPU 1 at 0000:01:00.0: Mesa's layer/,
    );
  },
});

/** Builds drivers of these models and places; what makes them the only ones. */
async function drivers(folder: string, ...models: [model: number, bus: number][]) {
  const source = new URL(import.meta.resolve("./gpu_of_software.c")).pathname;
  const files: string[] = [];
  for (const [model, bus] of models) {
    const name = `${folder}/gpu-${model}-${bus}`;
    const args = ["-shared", "-fPIC", "-Wall", "-Werror", `-DMODEL=${model}`, `-DBUS=${bus}`];
    const command = new Deno.Command("gcc", {
      args: [...args, "-o", `${name}.so`, source, "-ldl"],
    });
    const { success, stderr } = await command.output();
    assert.ok(success, new TextDecoder().decode(stderr));
    const ICD = { api_version: "1.1.230", library_path: `${name}.so` };
    await Deno.writeTextFile(`${name}.json`, JSON.stringify({ file_format_version: "1.0.0", ICD }));
    files.push(`${name}.json`);
  }
  return { VK_DRIVER_FILES: files.join(":") };
}

/** Why there are no such drivers here; null if there can be. */
const missing: string | null = await (async () => {
  if (!linux) return "the layer is Linux's";
  const compiler = await new Deno.Command("gcc", { args: ["--version"], stdout: "null" }).output()
    .then(({ success }) => success, () => false);
  if (!compiler) return "there is no gcc";
  const layer = "/usr/share/vulkan/implicit_layer.d/VkLayer_MESA_device_select.json";
  return await Deno.stat(layer).then(() => null, () => "mesa-vulkan-drivers is not installed");
})();

Deno.test({
  name: `each rank's WebGPU sees the GPU that was chosen for it${
    missing === null ? "" : ` (skipped: ${missing})`
  }`,
  ignore: missing !== null,
  async fn() {
    await using folder = await temporaryFolder();
    const env = await drivers(folder.path, [0x1001, 1], [0x1002, 2]);
    assert.deepEqual((await THIS_HOST.list(env)).map(({ device, pci }) => [device, pci]), [
      [0x1001, "0000:01:00.0"],
      [0x1002, "0000:02:00.0"],
    ]);
    const { variables } = await chooseGpus(3, env);
    const program = `${folder.path}/sees.ts`;
    await Deno.writeTextFile(
      program,
      `const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
       console.log(adapter?.info.description);`,
    );
    const { lines } = await run({ ranks: 3, program, env, rankEnv: variables });
    const seen = lines.map((own) => own.find((line) => line.startsWith("GPU ")));
    assert.deepEqual(
      seen,
      ["GPU 1001", "GPU 1002", "GPU 1001"].map((name) => `${name} of software`),
    );
  },
});

Deno.test({
  name: `of GPUs of one model each rank gets its own, or all of them one and a note${
    missing === null ? "" : ` (skipped: ${missing})`
  }`,
  ignore: missing !== null,
  async fn() {
    await using folder = await temporaryFolder();
    const env = await drivers(folder.path, [0x1001, 1], [0x1001, 3]);
    const { variables, notes } = await chooseGpus(2, env);
    if (variables.length === 0) return assert.match(notes[0], /share the first of its 2 GPUs/);
    for (const [i, bus] of [1, 3].entries()) {
      const [first] = await THIS_HOST.list({ ...env, ...variables[i] });
      assert.equal(first.pci, `0000:0${bus}:00.0`);
    }
  },
});
