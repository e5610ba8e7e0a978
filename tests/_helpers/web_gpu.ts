/** Whether this machine has WebGPU, if only Mesa's software adapter, for tests that need it. */

// Without a window system Mesa complains of the missing folder each time an adapter is asked for.
if (!Deno.env.has("XDG_RUNTIME_DIR")) Deno.env.set("XDG_RUNTIME_DIR", "/dev/null/folder");

/** Whether there is an adapter; tests that need one say so if there is not, and are skipped. */
export const hasWebGpu = await navigator.gpu?.requestAdapter() != null;

/** What the name of such a test ends with where it is skipped. */
export const webGpuNote = hasWebGpu ? "" : " (webgpu skipped: no adapter, not even a software one)";
