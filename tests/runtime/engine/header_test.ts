/** The headers of frames: what is written is what is read. */

import assert from "node:assert/strict";
import {
  decodeFrame,
  encodeAgreementFrame,
  encodeClearToSend,
  encodeCredit,
  encodeEager,
  encodeFanIn,
  encodeFanOut,
  encodeLost,
  encodeMessage,
  encodeMismatch,
  encodeRequestToSend,
  encodeRevoked,
  encodeSegment,
  encodeWake,
  MessageKind,
} from "../../../runtime/engine/header.ts";
import { HEADER_BYTES } from "../../../runtime/transport/transport.ts";

const U32 = 2 ** 32 - 1, U53 = Number.MAX_SAFE_INTEGER;
const envelope = { context: U53, type: 9, count: U53, tag: 2 ** 31 - 1 };
const codes = {
  collective: 18,
  type: 3,
  count: U53 - 1,
  op: 7,
  root: 65_535,
  algorithm: 5,
  segmentBytes: 2 ** 40 + 1,
  compression: 2 ** 24 + 5,
  exact: 2 ** 40 + 7,
};
const exchange = { context: 2 ** 32 + 1, call: U32 - 1, exchange: 4 };

const HEADERS = {
  EAGER: [encodeEager(envelope), envelope],
  REQUEST_TO_SEND: [
    encodeRequestToSend({ ...envelope, message: U32, bytes: U53 }),
    { ...envelope, message: U32, bytes: U53 },
  ],
  CLEAR_TO_SEND: [
    encodeClearToSend({ context: 2, message: 3, declined: true }),
    { context: 2, message: 3, declined: true },
  ],
  MESSAGE: [encodeMessage({ context: 2, message: U32 }), { context: 2, message: U32 }],
  CREDIT: [encodeCredit({ context: 4, bytes: 2 ** 33 }), { context: 4, bytes: 2 ** 33 }],
  FAN_IN: [
    encodeFanIn({ ...exchange, answerSlotEmpty: true }, codes),
    { ...exchange, answerSlotEmpty: true, ...codes },
  ],
  FAN_OUT: [encodeFanOut(exchange), exchange],
  SEGMENT: [
    encodeSegment({ context: 5, call: 6, segment: U32 }),
    { context: 5, call: 6, segment: U32 },
  ],
  MISMATCH: [encodeMismatch({ context: 7 }), { context: 7 }],
  LOST: [encodeLost({ rank: 70 }), { rank: 70 }],
  WAKE: [encodeWake(), {}],
  REVOKED: [encodeRevoked({ context: U32 }), { context: U32 }],
  AGREEMENT: [
    encodeAgreementFrame({ context: 8, call: U32, step: 3 }),
    { context: 8, call: U32, step: 3 },
  ],
} satisfies Record<keyof typeof MessageKind, [Uint8Array, object]>;

for (const [name, [header, fields]] of Object.entries(HEADERS)) {
  Deno.test(`a header of kind ${name} is read as it was written`, () => {
    assert.equal(header.length, HEADER_BYTES);
    const kind = MessageKind[name as keyof typeof MessageKind];
    assert.deepEqual(decodeFrame(new DataView(header.buffer)), { kind, ...fields });
  });
}

Deno.test("calls and messages are told apart beyond 32 bits", () => {
  const call = U53 - 2, message = 2 ** 32;
  const read = (header: Uint8Array) => decodeFrame(new DataView(header.buffer));
  for (
    const [header, fields] of [
      [encodeFanIn({ ...exchange, call, answerSlotEmpty: true }, codes), { call, ...codes }],
      [encodeFanOut({ ...exchange, call }), { ...exchange, call }],
      [encodeSegment({ context: U53, call, segment: U32 }), { context: U53, call, segment: U32 }],
      [encodeAgreementFrame({ context: 8, call, step: 3 }), { context: 8, call, step: 3 }],
      [
        encodeRequestToSend({ ...envelope, message, bytes: U53 }),
        { ...envelope, message, bytes: U53 },
      ],
      [
        encodeClearToSend({ context: 2, message, declined: true }),
        { context: 2, message, declined: true },
      ],
      [encodeMessage({ context: 2, message }), { context: 2, message }],
    ] as const
  ) {
    const found = read(header);
    assert.deepEqual({ ...found, ...fields }, found);
  }
});

Deno.test("a header of no kind that there is, is refused", () => {
  for (const kind of [0, Object.keys(MessageKind).length + 1, 255]) {
    const header = new Uint8Array(HEADER_BYTES);
    header[0] = kind;
    const message = `cannot take in a frame: its kind must be 1 to 13, found ${kind}`;
    assert.throws(() => decodeFrame(new DataView(header.buffer)), { name: "RangeError", message });
  }
});
