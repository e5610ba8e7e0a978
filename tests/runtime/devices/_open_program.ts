/** Opens the device its argument names, runs one model and prints what it got. */
import { type DeviceChoice, openDevice } from "../../../runtime/devices/open.ts";
import { LOOK } from "./_tiny_models.ts";

await using device = await openDevice(Deno.args[0] as DeviceChoice);
console.log(device.description);
await using state = await device.allocate([{ name: "w", dims: [2, 3] }, { name: "b", dims: [3] }]);
await state.write(Float32Array.from({ length: 9 }, (_, i) => i));
await using session = await device.compile(LOOK, { state: [state] });
const { y } = await session.run({});
console.log(y.data.join(" "));
