/**
 * An MPI-style runtime for Deno: start ranks, exchange typed arrays between them.
 *
 * @module
 */

export {
  ALLREDUCE_ALGORITHMS,
  type AllreduceAlgorithm,
  type AllreduceOptions,
} from "./collectives/allreduce.ts";
export type { CollectiveCalls } from "./_collective_calls.ts";
export type { MessageCalls } from "./_message_calls.ts";
export { Communicator } from "./communicator.ts";
export type { TypedArray } from "./base/datatypes.ts";
export {
  AbortError,
  HandshakeError,
  MismatchError,
  PeerLostError,
  RendezvousError,
  TruncationError,
} from "./base/errors.ts";
export { createOp, OP_NAMES } from "./base/ops.ts";
export type {
  CreateOpOptions,
  ElementFunction,
  GroupFunction,
  Op,
  OpName,
  UserOp,
} from "./base/ops.ts";
export { Random } from "./base/random.ts";
export { Request, waitAll, waitAny } from "./base/request.ts";
export type { OperationStats } from "./base/stats.ts";
export { ANY_SOURCE, ANY_TAG, PROC_NULL, type Status, TAG_UB } from "./base/status.ts";
