/**
 * An MPI-style runtime for Deno: start ranks, exchange typed arrays between them, run ONNX graphs.
 *
 * @example A rank
 * ```ts
 * import { init } from "./mod.ts";
 * await using comm = await init();
 * const sum = Float32Array.of(comm.rank);
 * await comm.allreduce(sum, "sum"); // in place
 * ```
 *
 * @module
 */

export {
  ALLREDUCE_ALGORITHMS,
  type AllreduceAlgorithm,
  type AllreduceArguments,
  type AllreduceCall,
  type AllreduceOptions,
} from "./collectives/allreduce.ts";
export type { ExactTerm } from "./compression/exact_sum.ts";
export type { CodecCost } from "./compression/cost.ts";
export type { EncodedNumbers, SumInput } from "./algorithms/encoded_numbers.ts";
export type { Range as ElementRange } from "./algorithms/partition.ts";
export { Communicator } from "./communicator.ts";
export type { TypedArray } from "./base/datatypes.ts";
export type { FailureCalls } from "./failures/failure_calls.ts";
export {
  AbortError,
  ClosedError,
  HandshakeError,
  MismatchError,
  PeerLostError,
  RendezvousError,
  RevokedError,
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

export { init, type InitOptions } from "./bootstrap/init.ts";
export type { Carrier, Network, OnFailure, Traffic } from "./transport/transport.ts";
export type { TransportKind } from "./bootstrap/mesh.ts";
export {
  type HostShare,
  joinLaunch,
  type LauncherPlace,
  launcherPlace,
  openWorld,
  type World,
  type WorldOptions,
} from "./launcher/across_hosts.ts";
export type { AgentOutcome } from "./agents/agent.ts";
export type { AgentPlace, Preparation, Prepare } from "./agents/agent_job.ts";
export type { Invitation } from "./agents/invitation.ts";
export type { SshOptions } from "./agents/ssh.ts";
export type { EndingSignal, InterruptOptions } from "./launcher/interrupts.ts";
export { InterruptedError } from "./launcher/interrupts.ts";
export type { JoinLaunchOptions } from "./launcher/join.ts";
export {
  type LaunchFailure,
  type LaunchOutcome,
  launchProgram,
  type LaunchProgramOptions,
} from "./launcher/launch.ts";
export type { StreamName } from "./ranks/output.ts";

// Devices: onnxruntime behind one interface.
export type {
  CompileOptions,
  Device,
  DeviceKind,
  DeviceState,
  ElementArrays,
  ElementType as HostElementType,
  HostTensor,
  NodeTime,
  Session,
  Submission,
  VariableRange,
  VariableSpec,
} from "./devices/device.ts";
export type {
  AppliedSum,
  Displacement,
  DisplacementState,
} from "./devices/displacement/displacement.ts";
export type { KernelOperator } from "./devices/segments/segmented_model.ts";
export { DeviceError, type DeviceFault } from "./devices/faults/device_error.ts";
export {
  DEVICE_CHOICES,
  type DeviceChoice,
  openDevice,
  type OpenDeviceOptions,
  permissionsFor,
} from "./devices/open.ts";
