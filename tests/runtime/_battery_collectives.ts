/**
 * Every collective call in every form: blocking and not, of nothing, of every element type and several
 * lengths, from several roots, with arguments that are refused, between buffers that overlap.
 */

import assert from "node:assert/strict";
import type { Communicator, Request } from "../../runtime/mod.ts";
import { waitAll } from "../../runtime/mod.ts";
import type { Check } from "./_check.ts";
import { type Call, CALLS, type Shape } from "./_collective_cases.ts";
import { MAKERS, sameBits } from "./_values.ts";

/** Makes a call in its blocking or its non-blocking form. */
function begin(comm: Communicator, call: Call, blocking: boolean, args: readonly unknown[]) {
  // Called by name, so that each form is called with what its own name asks for.
  // deno-lint-ignore no-explicit-any
  const methods = comm as any;
  if (blocking) return methods[call](...args) as Promise<void>;
  return (methods[`i${call}`](...args) as Request).wait();
}

/** Elements of a block: one, primes and not, inside what travels with a tree's frames and beyond it. */
const MOVED = [1, 97, 9_001], REDUCED = [1, 7, 97, 240, 241, 8_209, 50_021];

/** The shapes that a call is made with, in one form. */
function* shapes(comm: Communicator, call: Call, blocking: boolean): Generator<Shape> {
  const { rooted = false, vector = false, reduces = false } = CALLS[call];
  const roots = rooted ? [...new Set([0, comm.size - 1, 1 % comm.size])] : [0];
  for (const make of blocking ? MAKERS : [Float32Array, BigInt64Array]) {
    let lengths = [5];
    if (call === "barrier") lengths = [0];
    else if (vector && make === Float64Array) lengths = [1, 3];
    else if (vector && make === Uint8Array) lengths = [1, 12_001];
    else if (vector) lengths = [3];
    else if (make === Float32Array) lengths = reduces && blocking ? REDUCED : MOVED;
    else if (make === Int32Array && reduces) lengths = [97, 8_209];
    for (const length of lengths) {
      for (const root of roots) {
        for (const gap of vector ? [0, 2] : [0]) yield { comm, make, length, root, gap };
      }
    }
  }
}

/** A call in one form: right results, nothing else touched. */
function right(call: Call, blocking: boolean): Check {
  return {
    name: blocking ? call : `i${call}`,
    async run(comm, longest = Infinity) {
      for (const shape of shapes(comm, call, blocking)) {
        if (shape.length > longest) continue;
        const { args, check } = CALLS[call].prepare(shape);
        await begin(comm, call, blocking, args);
        check();
      }
    },
  };
}

/** A call of no elements, in both forms. */
function ofNothing(call: Call): Check {
  return {
    name: `${call} of no elements`,
    async run(comm) {
      for (const blocking of [true, false]) {
        for (const make of [Float32Array, BigUint64Array]) {
          for (const root of CALLS[call].rooted ? [0, comm.size - 1] : [0]) {
            const { args, check } = CALLS[call].prepare({ comm, make, length: 0, root, gap: 0 });
            await begin(comm, call, blocking, args);
            check();
          }
        }
      }
    },
  };
}

/** A call that is refused on every rank, in both forms, and works afterwards as if it had not been made. */
function refusal(call: Call): Check {
  const { wrong, prepare } = CALLS[call];
  return {
    name: `${call} refuses a wrong type`,
    async run(comm) {
      const bad = [[1], "1", null, new DataView(new ArrayBuffer(8))];
      const bads = bad.flatMap((buffer) =>
        call.startsWith("scatter") ? [] : [[buffer, new Float32Array(comm.size)]]
      );
      const mixed = wrong === undefined ? [] : [
        wrong(comm, new Float32Array(1), new Int32Array(1)),
        wrong(comm, new Uint8Array(1), new Int8Array(1)),
      ];
      for (const blocking of [true, false]) {
        for (const args of [...bads, ...mixed]) {
          await assert.rejects(async () => await begin(comm, call, blocking, args), TypeError);
        }
      }
      const shape = { comm, make: Float32Array, length: 3, root: 0, gap: 0 };
      const { args, check } = prepare(shape);
      await begin(comm, call, true, args);
      check();
    },
  };
}

/** A call whose send and recv lie over each other, in both forms. */
function overlapping(call: Call): Check {
  return {
    name: `${call} between buffers that overlap`,
    async run(comm, longest = Infinity) {
      for (const blocking of [true, false]) {
        for (const length of blocking ? [3, 9_001] : [3]) {
          if (length > longest) continue;
          for (const shift of [-1, 0, 1]) {
            const shape = { comm, make: Float64Array, length, root: 0, gap: 0 };
            const { args, after } = CALLS[call].prepare(shape);
            const buffers = args.filter((arg) => arg instanceof Float64Array);
            if (buffers.length < 2) { // a rank that is not the root of a gather or a scatter
              await begin(comm, call, blocking, args);
              continue;
            }
            const memory = new Float64Array(2 + buffers[0].length + buffers[1].length);
            const send = memory.subarray(1, 1 + buffers[0].length);
            const recv = memory.subarray(1 + shift, 1 + shift + buffers[1].length);
            send.set(buffers[0]);
            const moved = args.map((arg) =>
              arg === buffers[0] ? send : arg === buffers[1] ? recv : arg
            );
            await begin(comm, call, blocking, moved);
            sameBits(`received ${shift} elements behind what was sent`, recv, after(buffers[1]));
          }
        }
      }
    },
  };
}

/** All non-blocking forms go on at once and are waited for the other way round. */
const atOnce: Check = {
  name: "all non-blocking calls at once",
  async run(comm) {
    for (const length of [3, 9_001]) {
      const shape = { comm, make: Float32Array, length, root: comm.size - 1, gap: 2 };
      const prepared = names.map((call) => CALLS[call].prepare(shape));
      // deno-lint-ignore no-explicit-any
      const methods = comm as any;
      const requests: Request[] = names.map((call, i) => methods[`i${call}`](...prepared[i].args));
      await waitAll(requests.toReversed());
      for (const { check } of prepared) check();
    }
  },
};

const names = Object.keys(CALLS) as Call[], withElements = names.filter((c) => c !== "barrier");
/** Calls with one buffer work in place. */
const betweenTwo = withElements.filter((call) => CALLS[call].wrong !== undefined);

/** The matrix. */
export const COLLECTIVES: readonly Check[] = [
  ...names.flatMap((call) => [right(call, true), right(call, false)]),
  ...withElements.map(ofNothing),
  ...withElements.map(refusal),
  ...betweenTwo.map(overlapping),
  atOnce,
];
