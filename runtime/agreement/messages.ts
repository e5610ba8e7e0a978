/**
 * What members say to each other to agree on a value, and how it travels: a number for the kind, and
 * bytes.
 *
 * @module
 */

import { pack, unpack } from "../base/pack.ts";

/** A value that a member has adopted, and who proposed it. */
export interface Proposal {
  readonly leader: number;
  readonly value: Uint8Array;
}

/** What one member says to another. */
export type AgreementMessage =
  /** To the leader: what the sender contributes, and what it has adopted so far. */
  | {
    readonly kind: "contribution";
    readonly input: Uint8Array;
    readonly adopted: Proposal | null;
  }
  /** From the leader: a value to adopt. */
  | { readonly kind: "proposal"; readonly value: Uint8Array }
  /** To the leader: its value is adopted. */
  | { readonly kind: "adoption" }
  /** A value that all that live have adopted. */
  | { readonly kind: "decision"; readonly value: Uint8Array }
  /** To all others: the sender knows all that was decided, and agrees on nothing more. */
  | { readonly kind: "farewell" };

/** In the order of their numbers, from 0. */
const KINDS = ["contribution", "proposal", "adoption", "decision", "farewell"] as const;

const NOTHING = new Uint8Array();

/** A message as it travels. */
export interface EncodedAgreement {
  /** Which kind of message it is. */
  readonly step: number;
  readonly payload: Uint8Array;
}

/** Writes a message. */
export function encodeAgreement(message: AgreementMessage): EncodedAgreement {
  const step = KINDS.indexOf(message.kind);
  switch (message.kind) {
    case "contribution": {
      const { leader, value } = message.adopted ?? { leader: -1, value: NOTHING };
      const number = new Uint8Array(4);
      new DataView(number.buffer).setInt32(0, leader);
      return { step, payload: pack([message.input, number, value]) };
    }
    case "adoption":
    case "farewell":
      return { step, payload: NOTHING };
    default:
      return { step, payload: message.value };
  }
}

/**
 * Reads a message; it keeps `payload`.
 *
 * @throws RangeError if it is none
 */
export function decodeAgreement({ step, payload }: EncodedAgreement): AgreementMessage {
  const kind = KINDS[step];
  switch (kind) {
    case "contribution": {
      const [input, number, value] = partsOf(payload);
      if (number.length !== 4) {
        throw new RangeError(`cannot agree: a leader takes 4 bytes, found ${number.length}`);
      }
      const leader = new DataView(number.buffer, number.byteOffset).getInt32(0);
      return { kind, input, adopted: leader < 0 ? null : { leader, value } };
    }
    case "adoption":
    case "farewell":
      return { kind };
    case "proposal":
    case "decision":
      return { kind, value: payload };
    default:
      throw new RangeError(`cannot agree: a step is 0 to ${KINDS.length - 1}, found ${step}`);
  }
}

function partsOf(payload: Uint8Array): Uint8Array[] {
  try {
    return unpack(payload, 3);
  } catch (error) {
    const found = `${payload.length} bytes`;
    throw new RangeError(`cannot agree: a contribution is shorter than it says, found ${found}`, {
      cause: error,
    });
  }
}
