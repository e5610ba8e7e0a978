import assert from "node:assert/strict";
import { type Schedule, sizeAt, stageWise } from "../../optimizers/schedule.ts";
import { hasTorch, PYTHON, torchNote } from "../_helpers/peers/python.ts";

const initial = { learningRate: 0.3, clipThreshold: 1 };

Deno.test("the learning rate falls at each stage, from the step that begins there", () => {
  const decay = { at: [80, 120], factor: 0.1, decaysClip: false };
  const rate = (epoch: number) => stageWise(initial, decay, epoch).learningRate;
  assert.equal(rate(0), 0.3);
  assert.equal(rate(80 - 1 / 97), 0.3);
  assert.ok(Math.abs(rate(80) - 0.03) < 1e-15);
  assert.ok(Math.abs(rate(119.99) - 0.03) < 1e-15);
  assert.ok(Math.abs(rate(200) - 0.003) < 1e-15);
});

Deno.test("the clipping threshold falls along only where the schedule says so", () => {
  const at = [80, 120], factor = 0.1;
  assert.equal(stageWise(initial, { at, factor, decaysClip: false }, 150).clipThreshold, 1);
  const { clipThreshold } = stageWise(initial, { at, factor, decaysClip: true }, 150);
  assert.ok(Math.abs(clipThreshold - 0.01) < 1e-15);
});

Deno.test("without stages nothing changes", () => {
  assert.deepEqual(stageWise(initial, { at: [], factor: 0.1, decaysClip: true }, 1000), initial);
});

const decay = { at: [2], factor: 0.1, decaysClip: false };

/** η of each step of a run. */
function rates(schedule: Partial<Schedule>, steps: number): number[] {
  const full: Schedule = { name: "constant", warmup: 0, least: 0, decay, ...schedule };
  return Array.from(
    { length: steps },
    (_, done) => sizeAt(initial, full, { done, steps, epoch: done / 10 }).learningRate,
  );
}

function near(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((rate, t) =>
    assert.ok(Math.abs(rate - expected[t]) < 1e-12, `step ${t}: ${rate}`)
  );
}

Deno.test("step is the stage-wise decay, bit for bit", () => {
  const expected = Array.from({ length: 40 }, (_, t) => stageWise(initial, decay, t / 10));
  assert.deepEqual(rates({ name: "step" }, 40), expected.map(({ learningRate }) => learningRate));
});

Deno.test("a warm-up rises from its first share to the whole, and its last step has all of it", () => {
  near(rates({ warmup: 4 }, 6), [0.25, 0.5, 0.75, 1, 1, 1].map((share) => 0.3 * share));
});

Deno.test("wsd is stable for four fifths and falls to its least in the last", () => {
  const [...all] = rates({ name: "wsd", least: 0.1 }, 100);
  near(all.slice(0, 81), new Array(81).fill(0.3));
  near(all.slice(90, 91), [0.2]);
  near(all.slice(99), [0.3 - 0.2 * 19 / 20]);
});

Deno.test("γ goes as η does where that is asked for, and stays elsewhere", () => {
  const at = { done: 30, steps: 60, epoch: 0 };
  for (const decaysClip of [false, true]) {
    const schedule: Schedule = {
      name: "linear",
      warmup: 0,
      least: 0,
      decay: { ...decay, decaysClip },
    };
    assert.equal(sizeAt(initial, schedule, at).clipThreshold, decaysClip ? 0.5 : 1);
  }
});

Deno.test({
  name: `cosine, linear and step are PyTorch's schedulers${torchNote}`,
  ignore: !hasTorch,
  async fn() {
    const program = `
import json, torch
from torch.optim.lr_scheduler import *
def rates(make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler, found = make(optimizer), []
    for _ in range(50):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found
print(json.dumps([
    rates(lambda o: CosineAnnealingLR(o, T_max=50, eta_min=0.01)),
    rates(lambda o: LinearLR(o, start_factor=1, end_factor=0.1, total_iters=50)),
    rates(lambda o: MultiStepLR(o, [20], gamma=0.1)),
    rates(lambda o: SequentialLR(o, [LinearLR(o, start_factor=0.1, end_factor=1, total_iters=9),
        CosineAnnealingLR(o, T_max=40)], [10])),
]))`;
    const { success, stdout } = await new Deno.Command(PYTHON, {
      args: ["-W", "ignore", "-c", program],
    })
      .output();
    assert.ok(success);
    const [cosine, linear, step, warm] = JSON.parse(new TextDecoder().decode(stdout));
    near(rates({ name: "cosine", least: 0.01 }, 50), cosine);
    near(rates({ name: "linear", least: 0.03 }, 50), linear);
    near(rates({ name: "step" }, 50), step);
    near(rates({ name: "cosine", warmup: 10 }, 50), warm);
  },
});
