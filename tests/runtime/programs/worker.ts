/** Calls init() in a Worker, and says what comes of it. */

import { init } from "../../../runtime/bootstrap/init.ts";

if ("DedicatedWorkerGlobalScope" in globalThis) {
  const said = await init().then(({ size }) => `rank of ${size}`, (error) => error.message);
  (globalThis as unknown as Worker).postMessage(said);
} else {
  const worker = new Worker(import.meta.url, { type: "module" });
  worker.onmessage = ({ data }) => {
    console.log(data);
    worker.terminate();
  };
}
