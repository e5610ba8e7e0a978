/**
 * Images of one's own: discs, squares and crosses in random colours and places, told apart by a ResNet-8.
 * `deno task launch --ranks 4 --allow ffi tests/examples/own_data.ts`
 */

import { channelStatistics, type ImageDataSet, imageTask, init } from "../../mod.ts";
import { Random, resnet, train, trainOptions } from "../../mod.ts";

const SIDE = 16, PLANE = SIDE * SIDE;
const SHAPES: Record<string, (x: number, y: number) => boolean> = {
  disc: (x, y) => Math.hypot(x, y) < 4.5,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 4,
  cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) < 1.5 && Math.hypot(x, y) < 6,
};
/** So many images, the same on every rank: planes of red, green and blue bytes. */
function draw(name: string, count: number): ImageDataSet {
  const pixels = new Uint8Array(3 * PLANE * count), classes = Object.keys(SHAPES);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % classes.length);
  for (let i = 0; i < count; i++) {
    const random = new Random(1, name, i), inside = SHAPES[classes[labels[i]]];
    const [cx, cy] = [0, 1].map(() => 5 + random.integer(6));
    for (let channel = 0; channel < 3; channel++) {
      const [paper, ink] = [random.integer(100), 156 + random.integer(100)];
      const plane = pixels.subarray((3 * i + channel) * PLANE, (3 * i + channel + 1) * PLANE);
      for (const at of plane.keys()) {
        plane[at] = inside(at % SIDE - cx, Math.floor(at / SIDE) - cy) ? ink : paper;
      }
    }
  }
  return { name, count, classes, side: SIDE, pixels, labels, ...channelStatistics(pixels, SIDE) };
}
await using comm = await init();
const { rank, size: ranks } = comm, sizes = { validFraction: 0.2, trainEval: 0, patience: 3 };
const options = trainOptions({ ranks, device: "cpu", epochs: 6, batchSize: 16, ...sizes });
const images = { name: "shapes", train: draw("train", 600), test: draw("test", 150) };
const model = resnet(8, { classes: 3, side: SIDE }), task = imageTask(images, options, rank);
const { summary } = await train(comm, options, { model, task });
if (rank === 0) console.log(`accuracy ${summary.testAccuracy}, best at step ${summary.best!.step}`);
