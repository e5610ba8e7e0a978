/**
 * Opens a device whose engine this process has, but not the cache that Deno is then said to have, and once more when
 * the engine lies there. Arguments: the device's kind, an empty folder for the cache, the engine's folder in it.
 */

import { resolveDevice } from "../../../runtime/devices/open.ts";
import type { DeviceKind } from "../../../runtime/devices/device.ts";
import { sayDownload } from "../../../tasks/launch/downloads.ts";

const [kind, cache, engine] = Deno.args, say = sayDownload((line) => console.log(line));
await resolveDevice(kind as DeviceKind);
Deno.env.set("DENO_DIR", cache);
await resolveDevice(kind as DeviceKind, say);
await Deno.mkdir(`${cache}/${engine}`, { recursive: true });
console.log("it is cached");
await resolveDevice(kind as DeviceKind, say);
