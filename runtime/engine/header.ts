/**
 * The communicator's part of a frame: the 64 bytes of its header.
 *
 *     0  u8   kind of frame            16  u64  count, in elements
 *     1  u8   element type             24  i32  root
 *     2  u8   reduction                28  u32  sequence number of a collective, id of a message
 *     3  u8   collective               32  u32  slot: which part of a collective
 *     4  u32  context                  36  u32  flags
 *     8  i32  tag                      40  u64  bytes
 *
 * @module
 */

import { HEADER_BYTES } from "../transport/transport.ts";

/** What a frame is for. */
export const MessageKind = {
  /** A whole message, sent without asking. */
  EAGER: 1,
  /** Announces a message that the receiver must ask for. */
  REQUEST_TO_SEND: 2,
  /** Asks for an announced message, or (flag 1) says that it is not wanted. */
  CLEAR_TO_SEND: 3,
  /** A message that was asked for. */
  MESSAGE: 4,
  /** Returns credit for eager messages that were received. */
  CREDIT: 5,
  /** A collective's signature and contributions, towards rank 0. */
  FAN_IN: 6,
  /** A collective's verdict and results, away from rank 0. */
  FAN_OUT: 7,
  /** Part of a large collective. */
  PART: 8,
  /** The communicator cannot go on: ranks disagree. */
  MISMATCH: 9,
  /** The sender has lost a rank. */
  LOST: 10,
  /** There is something in the receiver's mailbox. */
  WAKE: 11,
} as const;

/** The fields of a header. */
export interface Frame {
  kind: number;
  type: number;
  op: number;
  collective: number;
  context: number;
  tag: number;
  count: number;
  root: number;
  sequence: number;
  slot: number;
  flags: number;
  bytes: number;
}

/** Writes a header; fields left out are zero. */
export function encodeFrame(fields: Partial<Frame> & { kind: number }): Uint8Array {
  // Byte by byte: a DataView would move so small an array out of V8's heap first.
  const header = new Uint8Array(HEADER_BYTES);
  header[0] = fields.kind;
  header[1] = fields.type ?? 0;
  header[2] = fields.op ?? 0;
  header[3] = fields.collective ?? 0;
  putU32(header, 4, fields.context ?? 0);
  putU32(header, 8, fields.tag ?? 0);
  putU64(header, 16, fields.count ?? 0);
  putU32(header, 24, fields.root ?? 0);
  putU32(header, 28, fields.sequence ?? 0);
  putU32(header, 32, fields.slot ?? 0);
  putU32(header, 36, fields.flags ?? 0);
  putU64(header, 40, fields.bytes ?? 0);
  return header;
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes an integer of up to 53 bits. */
function putU64(bytes: Uint8Array, at: number, value: number): void {
  if (value === 0) return;
  putU32(bytes, at, Math.floor(value / 2 ** 32));
  putU32(bytes, at + 4, value >>> 0);
}

/** Reads a header. */
export function decodeFrame(view: DataView): Frame {
  return {
    kind: view.getUint8(0),
    type: view.getUint8(1),
    op: view.getUint8(2),
    collective: view.getUint8(3),
    context: view.getUint32(4),
    tag: view.getInt32(8),
    count: view.getUint32(16) * 2 ** 32 + view.getUint32(20),
    root: view.getInt32(24),
    sequence: view.getUint32(28),
    slot: view.getUint32(32),
    flags: view.getUint32(36),
    bytes: view.getUint32(40) * 2 ** 32 + view.getUint32(44),
  };
}
