import assert from "node:assert/strict";
import { resolveOptions } from "../../../tasks/options/resolve.ts";
import { imageTask } from "../../../tasks/problems/image_task.ts";

Deno.test("a task of images says what was fed: a batch is the pixels less the mean, over the deviation", () => {
  const side = 8, image = 3 * side * side, count = 4;
  const pixels = Uint8Array.from({ length: count * image }, (_, i) => (i * 37) % 251);
  const set = {
    ...{ name: "mine", count, classes: ["cat", "dog"], side, pixels },
    labels: Uint8Array.of(0, 1, 0, 1),
    mean: [0.5, 0.25, 0.125] as [number, number, number],
    std: [0.5, 0.2, 0.4] as [number, number, number],
  };
  const options = resolveOptions({
    ...{ ranks: 1, algorithm: "single", batchSize: count, partition: "whole", augment: "none" },
  });
  const { images, splits } = imageTask({ name: "mine", train: set, test: set }, options, 0);
  assert.deepEqual(images, { side, classes: set.classes, mean: set.mean, std: set.std });
  const [{ data: fed }] = [...splits.at(-1)!.batches()].map(({ input }) => input);
  const plane = images!.side ** 2;
  for (let i = 0; i < image; i++) {
    const channel: number = Math.floor(i / plane);
    const expected: number = (pixels[i] / 255 - images!.mean[channel]) / images!.std[channel];
    assert.ok(Math.abs(Number(fed[i]) - expected) < 1e-5, `${i}: ${fed[i]}, not ${expected}`);
  }
});
