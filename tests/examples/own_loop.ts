/**
 * A graph and a loop of one's own: y = Wx + b, fitted by gradients that are averaged at each step.
 * `deno task launch --ranks 2 --allow ffi tests/examples/own_loop.ts`
 */

import { differentiate, encodeModel, Graph, init, openDevice, Random } from "../../mod.ts";

const BATCH = 8, TRUE = [1, -2, 0.5];

await using comm = await init();
const g = new Graph();
const x = g.input("x", "float32", [BATCH, 3]), y = g.input("y", "float32", [BATCH, 1]);
const w = g.input("w", "float32", [3, 1]), b = g.input("b", "float32", [1]);
const error = g.sub(g.add(g.matmul(x, w), b), y), loss = g.mean(g.mul(error, error));
const [dw, db] = differentiate(g, loss, [w, b]); // backward nodes of the same graph
for (const [name, value] of Object.entries({ loss, dw, db })) g.output(name, value);

await using device = await openDevice("cpu");
await using state = await device.allocate([{ name: "w", dims: [3, 1] }, { name: "b", dims: [1] }]);
const bytes = encodeModel(g, { target: device.kind });
await using session = await device.compile(bytes, { state: [state] });
for (let t = 1; t <= 200; t++) {
  const random = new Random(1, comm.rank, t);
  const rows = Array.from({ length: BATCH }, () => TRUE.map(() => random.normal()));
  const targets = rows.map((row) => row.reduce((sum, value, i) => sum + TRUE[i] * value, 4));
  const outputs = await session.run({
    x: { type: "float32", dims: [BATCH, 3], data: Float32Array.from(rows.flat()) },
    y: { type: "float32", dims: [BATCH, 1], data: Float32Array.from(targets) },
  });
  const gradient = Float32Array.from([...outputs.dw.data, ...outputs.db.data], Number);
  await comm.allreduce(gradient, "sum");
  await state.edit((flat) => flat.forEach((_, i) => flat[i] -= 0.1 * gradient[i] / comm.size));
}
const fitted = await state.read();
if (comm.rank === 0) console.log([...fitted].map((value) => value.toFixed(2)).join(" "));
