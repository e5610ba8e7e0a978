/**
 * The communicator's part of a frame: the 64 bytes of its header, big-endian, a layout for each kind.
 * Byte 0 is the kind; bytes that a kind does not use are zero. The numbers say where a field begins; what lies of a
 * context beyond 32 bits, the rank that has numbered it, begins at 60:
 *
 *     EAGER            1 type, 4 context, 8 tag, 16 count
 *     REQUEST_TO_SEND  1 type, 4 context, 8 tag, 16 count, 28 message, 40 bytes
 *     CLEAR_TO_SEND    4 context, 28 message, 36 declined
 *     MESSAGE          4 context, 28 message
 *     CREDIT           4 context, 40 bytes
 *     FAN_IN           1 type, 2 op, 3 collective, 4 context, 8 answer slot empty, 16 count, 24 root,
 *                      28 call, 32 exchange, 36 algorithm, 40 segment bytes, 48 compression, 52 exact
 *     FAN_OUT          4 context, 28 call, 32 exchange
 *     SEGMENT          4 context, 28 call, 32 segment
 *     MISMATCH         4 context
 *     LOST             24 rank
 *     WAKE
 *     REVOKED          4 context
 *     AGREEMENT        4 context, 28 call, 32 step
 *
 * What begins at 1, 2 and 3 is a byte, at 16, 40 and 52 a number of up to 53 bits in 8 bytes, else of 32. Calls and
 * messages, which are counted as long as a communicator lives, have up to 53 bits too: those beyond 32 begin at 12.
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
  /** Asks for an announced message, or declines it. */
  CLEAR_TO_SEND: 3,
  /** A message that was asked for. */
  MESSAGE: 4,
  /** Returns credit for eager messages that were received. */
  CREDIT: 5,
  /** A collective's signature and contributions, towards rank 0. */
  FAN_IN: 6,
  /** A collective's answers, away from rank 0. */
  FAN_OUT: 7,
  /** A segment of the buffer of a large collective. */
  SEGMENT: 8,
  /** The communicator cannot go on: ranks disagree. */
  MISMATCH: 9,
  /** The sender has lost a rank. */
  LOST: 10,
  /** There is something in the receiver's mailbox. */
  WAKE: 11,
  /** A member has revoked the communicator. */
  REVOKED: 12,
  /** Members that agree whoever is lost. */
  AGREEMENT: 13,
} as const;

/** A whole message. */
export interface EagerFrame {
  readonly kind: typeof MessageKind.EAGER;
  readonly context: number;
  /** Number of the element type. */
  readonly type: number;
  /** Elements. */
  readonly count: number;
  readonly tag: number;
}

/** The announcement of a message. */
export interface RequestToSendFrame {
  readonly kind: typeof MessageKind.REQUEST_TO_SEND;
  readonly context: number;
  /** Number of the element type. */
  readonly type: number;
  /** Elements. */
  readonly count: number;
  readonly tag: number;
  /** The sender's number for the message. */
  readonly message: number;
  /** Length of the message. */
  readonly bytes: number;
}

/** The answer to an announcement. */
export interface ClearToSendFrame {
  readonly kind: typeof MessageKind.CLEAR_TO_SEND;
  readonly context: number;
  /** The sender's number for the message. */
  readonly message: number;
  /** Whether the message is not wanted. */
  readonly declined: boolean;
}

/** A message that was announced. */
export interface MessageFrame {
  readonly kind: typeof MessageKind.MESSAGE;
  readonly context: number;
  /** The sender's number for the message. */
  readonly message: number;
}

/** Credit for more messages. */
export interface CreditFrame {
  readonly kind: typeof MessageKind.CREDIT;
  readonly context: number;
  readonly bytes: number;
}

/** What every member passed to a collective, as numbers; 0 for what a collective does not have. */
export interface SignatureCodes {
  readonly collective: number;
  readonly type: number;
  readonly count: number;
  readonly op: number;
  readonly root: number;
  readonly algorithm: number;
  /** Longest segment in bytes, where the caller asked for one. */
  readonly segmentBytes: number;
  /** Number of a codec. */
  readonly compression: number;
  /** Elements that travel beside those, not compressed. */
  readonly exact: number;
}

/** Contributions to a tree exchange. */
export interface FanInFrame extends SignatureCodes {
  readonly kind: typeof MessageKind.FAN_IN;
  readonly context: number;
  /** Place of the call among the collective calls of the communicator. */
  readonly call: number;
  /** Place of the exchange among those of the call. */
  readonly exchange: number;
  /** Whether the mailbox slot for the answer is known to be empty. */
  readonly answerSlotEmpty: boolean;
}

/** Answers of a tree exchange. */
export interface FanOutFrame {
  readonly kind: typeof MessageKind.FAN_OUT;
  readonly context: number;
  readonly call: number;
  readonly exchange: number;
}

/** A segment of a collective's buffer. */
export interface SegmentFrame {
  readonly kind: typeof MessageKind.SEGMENT;
  readonly context: number;
  readonly call: number;
  /** Number by which the segments that one member sends to another in a call are told apart. */
  readonly segment: number;
}

/** The end of a communicator: members disagree, or one has revoked it. */
export interface EndFrame {
  readonly kind: typeof MessageKind.MISMATCH | typeof MessageKind.REVOKED;
  readonly context: number;
}

/** The end of a rank. */
export interface LostFrame {
  readonly kind: typeof MessageKind.LOST;
  /** The lost rank. */
  readonly rank: number;
}

/** A doorbell. */
export interface WakeFrame {
  readonly kind: typeof MessageKind.WAKE;
}

/** A message of an agreement. */
export interface AgreementFrame {
  readonly kind: typeof MessageKind.AGREEMENT;
  readonly context: number;
  /** Place of the agreement among those of the communicator. */
  readonly call: number;
  /** Which of its messages this is. */
  readonly step: number;
}

/** The beginning of a message: what it is matched by, and how long it is. */
export type EnvelopeFrame = EagerFrame | RequestToSendFrame;
/** A frame of a message between two ranks. */
export type PointToPointFrame = EnvelopeFrame | ClearToSendFrame | MessageFrame | CreditFrame;
/** A frame of a collective call. */
export type CallFrame = FanInFrame | FanOutFrame | SegmentFrame;
/** A frame of one communicator. */
export type ContextFrame =
  | PointToPointFrame
  | CallFrame
  | EndFrame
  | AgreementFrame;
/** Any frame. */
export type Frame = ContextFrame | LostFrame | WakeFrame;

type Fields<F> = Omit<F, "kind">;

/** The header of an {@linkcode EagerFrame}. */
export function encodeEager({ context, type, count, tag }: Fields<EagerFrame>): Uint8Array {
  const header = begin(MessageKind.EAGER, context);
  header[1] = type;
  putU32(header, 8, tag);
  putU64(header, 16, count);
  return header;
}

/** The header of a {@linkcode RequestToSendFrame}. */
export function encodeRequestToSend(frame: Fields<RequestToSendFrame>): Uint8Array {
  const header = begin(MessageKind.REQUEST_TO_SEND, frame.context);
  header[1] = frame.type;
  putU32(header, 8, frame.tag);
  putU64(header, 16, frame.count);
  putOrdinal(header, frame.message);
  putU64(header, 40, frame.bytes);
  return header;
}

/** The header of a {@linkcode ClearToSendFrame}. */
export function encodeClearToSend(frame: Fields<ClearToSendFrame>): Uint8Array {
  const header = begin(MessageKind.CLEAR_TO_SEND, frame.context);
  putOrdinal(header, frame.message);
  putU32(header, 36, frame.declined ? 1 : 0);
  return header;
}

/** The header of a {@linkcode MessageFrame}. */
export function encodeMessage({ context, message }: Fields<MessageFrame>): Uint8Array {
  const header = begin(MessageKind.MESSAGE, context);
  putOrdinal(header, message);
  return header;
}

/** The header of a {@linkcode CreditFrame}. */
export function encodeCredit({ context, bytes }: Fields<CreditFrame>): Uint8Array {
  const header = begin(MessageKind.CREDIT, context);
  putU64(header, 40, bytes);
  return header;
}

/** The header of a {@linkcode FanInFrame}; `codes` is the signature in it. */
export function encodeFanIn(
  frame: Omit<FanInFrame, "kind" | keyof SignatureCodes>,
  codes: SignatureCodes,
): Uint8Array {
  const header = begin(MessageKind.FAN_IN, frame.context);
  header[1] = codes.type;
  header[2] = codes.op;
  header[3] = codes.collective;
  putU32(header, 8, frame.answerSlotEmpty ? 1 : 0);
  putU64(header, 16, codes.count);
  putU32(header, 24, codes.root);
  putOrdinal(header, frame.call);
  putU32(header, 32, frame.exchange);
  putU32(header, 36, codes.algorithm);
  putU64(header, 40, codes.segmentBytes);
  putU32(header, 48, codes.compression);
  putU64(header, 52, codes.exact);
  return header;
}

/** The header of a {@linkcode FanOutFrame}. */
export function encodeFanOut({ context, call, exchange }: Fields<FanOutFrame>): Uint8Array {
  const header = begin(MessageKind.FAN_OUT, context);
  putOrdinal(header, call);
  putU32(header, 32, exchange);
  return header;
}

/** The header of a {@linkcode SegmentFrame}. */
export function encodeSegment({ context, call, segment }: Fields<SegmentFrame>): Uint8Array {
  const header = begin(MessageKind.SEGMENT, context);
  putOrdinal(header, call);
  putU32(header, 32, segment);
  return header;
}

/** The header of an {@linkcode EndFrame} for members that disagree. */
export function encodeMismatch({ context }: Fields<EndFrame>): Uint8Array {
  return begin(MessageKind.MISMATCH, context);
}

/** The header of an {@linkcode EndFrame} of a communicator that is revoked. */
export function encodeRevoked({ context }: Fields<EndFrame>): Uint8Array {
  return begin(MessageKind.REVOKED, context);
}

/** The header of an {@linkcode AgreementFrame}. */
export function encodeAgreementFrame(frame: Fields<AgreementFrame>): Uint8Array {
  const header = begin(MessageKind.AGREEMENT, frame.context);
  putOrdinal(header, frame.call);
  putU32(header, 32, frame.step);
  return header;
}

/** The header of a {@linkcode LostFrame}. */
export function encodeLost({ rank }: Fields<LostFrame>): Uint8Array {
  const header = begin(MessageKind.LOST, 0);
  putU32(header, 24, rank);
  return header;
}

/** The header of a {@linkcode WakeFrame}. */
export function encodeWake(): Uint8Array {
  return begin(MessageKind.WAKE, 0);
}

// Byte by byte: a DataView would move so small an array out of V8's heap first.
function begin(kind: number, context: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  header[0] = kind;
  putU32(header, 4, context);
  if (context >= 2 ** 32) putU32(header, 60, Math.floor(context / 2 ** 32));
  return header;
}

function getContext(view: DataView): number {
  return view.getUint32(60) * 2 ** 32 + view.getUint32(4);
}

/** Writes which call or message of its communicator it is. */
function putOrdinal(header: Uint8Array, ordinal: number): void {
  putU32(header, 28, ordinal);
  if (ordinal >= 2 ** 32) putU32(header, 12, Math.floor(ordinal / 2 ** 32));
}

function getOrdinal(view: DataView): number {
  return view.getUint32(12) * 2 ** 32 + view.getUint32(28);
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

function getU64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

/** By kind, in the order of {@linkcode MessageKind}. */
const DECODERS: readonly ((view: DataView) => Frame)[] = [
  decodeEager,
  decodeRequestToSend,
  decodeClearToSend,
  (view) => ({ kind: MessageKind.MESSAGE, context: getContext(view), message: getOrdinal(view) }),
  (view) => ({ kind: MessageKind.CREDIT, context: getContext(view), bytes: getU64(view, 40) }),
  decodeFanIn,
  (view) => ({
    kind: MessageKind.FAN_OUT,
    context: getContext(view),
    call: getOrdinal(view),
    exchange: view.getUint32(32),
  }),
  decodeSegment,
  (view) => ({ kind: MessageKind.MISMATCH, context: getContext(view) }),
  (view) => ({ kind: MessageKind.LOST, rank: view.getUint32(24) }),
  () => ({ kind: MessageKind.WAKE }),
  (view) => ({ kind: MessageKind.REVOKED, context: getContext(view) }),
  (view) => ({
    kind: MessageKind.AGREEMENT,
    context: getContext(view),
    call: getOrdinal(view),
    step: view.getUint32(32),
  }),
];

/**
 * Reads a header.
 *
 * @throws RangeError if it is of no kind that there is
 */
export function decodeFrame(view: DataView): Frame {
  const kind = view.getUint8(0), decode = DECODERS[kind - 1];
  if (decode === undefined) {
    throw new RangeError(
      `cannot take in a frame: its kind must be 1 to ${DECODERS.length}, found ${kind}`,
    );
  }
  return decode(view);
}

function decodeEager(view: DataView): EagerFrame {
  return {
    kind: MessageKind.EAGER,
    context: getContext(view),
    type: view.getUint8(1),
    count: getU64(view, 16),
    tag: view.getUint32(8),
  };
}

function decodeRequestToSend(view: DataView): RequestToSendFrame {
  return {
    kind: MessageKind.REQUEST_TO_SEND,
    context: getContext(view),
    type: view.getUint8(1),
    count: getU64(view, 16),
    tag: view.getUint32(8),
    message: getOrdinal(view),
    bytes: getU64(view, 40),
  };
}

function decodeClearToSend(view: DataView): ClearToSendFrame {
  return {
    kind: MessageKind.CLEAR_TO_SEND,
    context: getContext(view),
    message: getOrdinal(view),
    declined: view.getUint32(36) !== 0,
  };
}

function decodeFanIn(view: DataView): FanInFrame {
  return {
    kind: MessageKind.FAN_IN,
    context: getContext(view),
    call: getOrdinal(view),
    exchange: view.getUint32(32),
    answerSlotEmpty: view.getUint32(8) !== 0,
    collective: view.getUint8(3),
    type: view.getUint8(1),
    count: getU64(view, 16),
    op: view.getUint8(2),
    root: view.getUint32(24),
    algorithm: view.getUint32(36),
    segmentBytes: getU64(view, 40),
    compression: view.getUint32(48),
    exact: getU64(view, 52),
  };
}

function decodeSegment(view: DataView): SegmentFrame {
  return {
    kind: MessageKind.SEGMENT,
    context: getContext(view),
    call: getOrdinal(view),
    segment: view.getUint32(32),
  };
}
