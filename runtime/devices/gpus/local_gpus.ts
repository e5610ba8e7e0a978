/**
 * One GPU for each rank of a host that has several. WebGPU cannot be asked for one; what a process sees as the
 * first is, on Linux, what Mesa's layer for device selection puts there (`VK_LAYER_MESA_device_select`, for the
 * drivers of all makers), told by variables of that process. Whether it obeys is tried out beforehand.
 *
 * @module
 */

import type { VulkanDevice } from "./vulkan.ts";

/** The variables of Mesa's layer: a model by its numbers, a place on the bus, and that nothing else is shown. */
const MODEL = "MESA_VK_DEVICE_SELECT", PLACE = "DRI_PRIME";
const ALONE = "MESA_VK_DEVICE_SELECT_FORCE_DEFAULT_DEVICE";

/** By this a rank knows what it has been given, in words. */
const NAME = "CELGC_GPU";

/** By any of these the user has chosen already; the last is the loader's own. */
const CHOSEN_BY = [MODEL, PLACE, ALONE, "VK_LOADER_DEVICE_SELECT"];

/** The kinds that programs are given, the first before the others. */
const KINDS = ["discrete", "integrated", "virtual", "other"] as const;

/** What a rank is told. */
export type Variables = Readonly<Record<string, string>>;

/** How the ranks of a host come to GPUs. */
export interface LocalGpus {
  /** Of each rank, by its place among the host's; empty where there is nothing to choose. */
  readonly variables: readonly Variables[];
  /** What the user should know, in lines. */
  readonly notes: readonly string[];
}

/** What is asked of the host. */
export interface GpuQuestions {
  /** The devices that a process with these variables is shown, the first one first. */
  list(variables: Variables): Promise<readonly VulkanDevice[]>;
}

/** Asks a process of its own each time: layers and drivers read their variables once. */
export const THIS_HOST: GpuQuestions = {
  async list(variables) {
    const program = import.meta.resolve("./vulkan.ts");
    const { success, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", "--allow-ffi", program],
      // Mesa complains where no window system has a folder.
      env: { XDG_RUNTIME_DIR: "/nonexistent", NO_COLOR: "1", ...variables },
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? JSON.parse(new TextDecoder().decode(stdout)) : [];
  },
};

/**
 * Chooses a GPU for each rank of this host: local rank r takes the r-th of those there are, and the first
 * again after the last.
 *
 * @param ranks of this host
 * @param given variables that the user has given the ranks, beside this process's own
 * @param host whom to ask
 */
export async function chooseGpus(
  ranks: number,
  given: Variables,
  host: GpuQuestions = THIS_HOST,
): Promise<LocalGpus> {
  const nothing: LocalGpus = { variables: [], notes: [] };
  if (ranks < 2 || Deno.build.os !== "linux") return nothing;
  const chosen = CHOSEN_BY.find((name) => (given[name] ?? Deno.env.get(name)) !== undefined);
  const gpus = gpusAmong(await host.list(given));
  if (gpus.length < 2) return nothing;
  if (chosen !== undefined) {
    return { variables: [], notes: [`all ranks of this host take the GPU that ${chosen} chooses`] };
  }
  const wanted = gpus.slice(0, ranks), variables = wanted.map((gpu) => variablesFor(gpu, gpus));
  const shown = await Promise.all(
    variables.map(async (own) => own === null ? null : (await host.list({ ...given, ...own }))[0]),
  );
  const failed = wanted.findIndex((gpu, i) => !isSame(gpu, shown[i]));
  if (failed >= 0) {
    return {
      variables: [],
      notes: [
        `all ranks of this host share the first of its ${gpus.length} GPUs, ${words(gpus[0])}: ` +
        `Mesa's layer for device selection is not there or does not know ${
          words(wanted[failed])
        } ` +
        "(Debian: mesa-vulkan-drivers)",
      ],
    };
  }
  return {
    variables: Array.from({ length: ranks }, (_, rank) => {
      const at = rank % wanted.length;
      const name = `${at + 1} of ${gpus.length}, ${words(wanted[at])}`;
      return { ...variables[at], [NAME]: name };
    }),
    notes: [],
  };
}

/** The devices of which a program is given one: those of the best kind, none made of software. */
function gpusAmong(devices: readonly VulkanDevice[]): readonly VulkanDevice[] {
  const kind = KINDS.find((kind) => devices.some((device) => device.kind === kind));
  return devices.filter((device) => device.kind === kind);
}

/** What puts a GPU first; null if nothing tells it from another. */
function variablesFor(gpu: VulkanDevice, all: readonly VulkanDevice[]): Variables | null {
  const alike = all.filter(({ vendor, device }) => vendor === gpu.vendor && device === gpu.device);
  if (alike.length === 1) {
    return { [MODEL]: `${gpu.vendor.toString(16)}:${gpu.device.toString(16)}`, [ALONE]: "1" };
  }
  return gpu.pci === null
    ? null
    : { [PLACE]: `pci-${gpu.pci.replace(/[:.]/g, "_")}`, [ALONE]: "1" };
}

function isSame(one: VulkanDevice, other: VulkanDevice | null | undefined): boolean {
  return !!other && one.vendor === other.vendor && one.device === other.device &&
    one.pci === other.pci;
}

function words({ name, pci }: VulkanDevice): string {
  return pci === null ? name : `${name} at ${pci}`;
}
