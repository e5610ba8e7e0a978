/**
 * TensorBoard's event files: records of a TFRecord file
 * (https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details"), each an `Event` as in
 * tensorboard/compat/proto/event.proto and summary.proto.
 *
 * @module
 */

import { BinaryWriter, WireType } from "../../deps.ts";

/** What one event says: scalars by tag at a step, or that the log begins anew there. */
export type Event =
  | { readonly step: number; readonly scalars: Readonly<Record<string, number>> }
  | { readonly version: string }
  /** What earlier files say of this step and later ones no longer holds. */
  | { readonly restartedAt: number };

/** Fields of the messages. */
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 } as const;
const SUMMARY_VALUE = 1;
const VALUE = { tag: 1, simpleValue: 2 } as const;
const SESSION_STATUS = 1, SESSION_START = 1;

/** The first record of every event file. */
export const FILE_VERSION: Event = { version: "brain.Event:2" };

/**
 * An event as a record of the file.
 *
 * @param seconds since 1970
 */
export function encodeRecord(event: Event, seconds: number): Uint8Array<ArrayBuffer> {
  const data = encodeEvent(event, seconds);
  const record = new Uint8Array(8 + 4 + data.length + 4), view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

function encodeEvent(event: Event, seconds: number): Uint8Array {
  const writer = new BinaryWriter().tag(EVENT.wallTime, WireType.Bit64).double(seconds);
  if ("version" in event) {
    writer.tag(EVENT.fileVersion, WireType.LengthDelimited).string(event.version);
  } else if ("restartedAt" in event) {
    writer.tag(EVENT.step, WireType.Varint).int64(event.restartedAt);
    writer.tag(EVENT.sessionLog, WireType.LengthDelimited).fork();
    writer.tag(SESSION_STATUS, WireType.Varint).int32(SESSION_START).join();
  } else {
    writer.tag(EVENT.step, WireType.Varint).int64(event.step);
    writer.tag(EVENT.summary, WireType.LengthDelimited).fork();
    for (const [tag, value] of Object.entries(event.scalars)) {
      writer.tag(SUMMARY_VALUE, WireType.LengthDelimited).fork();
      writer.tag(VALUE.tag, WireType.LengthDelimited).string(tag);
      // Written bit by bit: the writer refuses numbers that a float32 does not reach, and some runs get there.
      const bits = new Uint32Array(new Float32Array([value]).buffer)[0];
      writer.tag(VALUE.simpleValue, WireType.Bit32).fixed32(bits).join();
    }
    writer.join();
  }
  return writer.finish();
}

/** By the byte: its remainder, reflected, by Castagnoli's polynomial. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C (RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The checksum as TFRecord stores it, so that checksums within data do not disturb. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
