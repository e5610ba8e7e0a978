/** What can go wrong with a device. */
export type DeviceFault = "missing" | "lost" | "memory" | "refused" | "limit";

/** What each fault means for whoever trains, and the way out. */
const WAYS_OUT: Record<DeviceFault, string> = {
  missing:
    "it needs a GPU with a Vulkan, Metal or D3D12 driver (on Linux `vulkaninfo --summary` lists " +
    "them; Debian's mesa-vulkan-drivers brings those for AMD and Intel, and a software one); or take " +
    "--device cpu",
  lost: "a run goes on from its last checkpoint with --resume, there or with --device cpu",
  memory: "take a smaller --batch-size, fewer ranks on this GPU, or --device cpu",
  refused:
    "take --device cpu or, if it is large tensors, a smaller --batch-size; if the driver is not the " +
    "newest, a newer one may help",
  limit: "take --device cpu, or a smaller network or --batch-size",
};

/**
 * A device cannot be opened, cannot go on, or cannot do what it was asked for: it was lost, has no memory left,
 * refuses a command or a kernel, or lacks what a tensor needs. Nothing that was computed since is given away.
 */
export class DeviceError extends Error {
  /** The name of the class. */
  override readonly name = "DeviceError";

  /**
   * Makes the error.
   *
   * @param what in words, without the way out, which is added
   */
  constructor(
    /** What has gone wrong. */
    readonly fault: DeviceFault,
    what: string,
    options?: ErrorOptions,
  ) {
    super(`${what}: ${WAYS_OUT[fault]}`, options);
  }
}
