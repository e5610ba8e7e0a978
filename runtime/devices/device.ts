/**
 * An ONNX executor: compiles a model for a device, keeps named float32 variables there, and runs.
 *
 * It knows no models, no data sets and no algorithms. Whoever calls it says which inputs of a graph
 * are variables and which outputs are their new values; those never leave the device between runs.
 *
 * @module
 */

import type { KernelOperator } from "./segments/segmented_model.ts";
import type { Displacement } from "./displacement/displacement.ts";

/** Where a graph runs. */
export type DeviceKind = "webgpu" | "cpu" | "wasm";

/** The typed array that carries each element type of a {@linkcode HostTensor}. */
export interface ElementArrays {
  /** 32-bit floats. */
  float32: Float32Array;
  /** 64-bit floats. */
  float64: Float64Array;
  /** 8-bit signed integers. */
  int8: Int8Array;
  /** 16-bit signed integers. */
  int16: Int16Array;
  /** 32-bit signed integers. */
  int32: Int32Array;
  /** 64-bit signed integers. */
  int64: BigInt64Array;
  /** 8-bit unsigned integers. */
  uint8: Uint8Array;
  /** 16-bit unsigned integers. */
  uint16: Uint16Array;
  /** 32-bit unsigned integers. */
  uint32: Uint32Array;
  /** 64-bit unsigned integers. */
  uint64: BigUint64Array;
  /** One byte an element, 0 or 1. */
  bool: Uint8Array;
}

/** Element type of a {@linkcode HostTensor}, in ONNX's words. */
export type ElementType = keyof ElementArrays;

/** A tensor in this process's memory, row-major. */
export type HostTensor = {
  [T in ElementType]: {
    readonly type: T;
    /** Empty for a scalar. */
    readonly dims: readonly number[];
    /** As many elements as the product of `dims`. */
    readonly data: ElementArrays[T];
  };
}[ElementType];

/** A float32 tensor that lives on a device from run to run. */
export interface VariableSpec {
  /** Name of the graph input that reads it. */
  readonly name: string;
  /** Shape; empty for a scalar. */
  readonly dims: readonly number[];
}

/** Where a variable lies in the flat form of its state, in floats. */
export interface VariableRange {
  /** Floats before it. */
  readonly offset: number;
  /** Its own floats. */
  readonly length: number;
}

/** What to bind when a model is compiled. */
export interface CompileOptions {
  /**
   * States whose variables feed the model's inputs of the same names. The caller keeps them: they
   * may serve several sessions, and must outlive them.
   */
  readonly state?: readonly DeviceState[];
  /**
   * Output name → variable name: when a run has ended, the variable's value is that output. Such
   * outputs do not come back to the host.
   */
  readonly updates?: Readonly<Record<string, string>>;
  /**
   * Collect the time of every operator, for {@linkcode Session.endProfile}. Slows the runs.
   * @default {false}
   */
  readonly profile?: boolean;
  /** Where the native engine keeps a profile until it is read. @default {the system's folder for temporary files} */
  readonly profileFolder?: string;
  /**
   * Whether the engine looks for a better graph than it is given. On the CPU that is most of the time it
   * takes to compile a graph of thousands of nodes, and wasted on one that was made for the device. Not
   * used on WebGPU, where the engine's choice of layouts is part of it.
   * @default {true}
   */
  readonly optimize?: boolean;
  /**
   * Record the device's commands at the first run and replay them from then on, which saves most of
   * the cost of a small node: where the device can (WebGPU), and only if every node runs on it.
   * @default {true, but for a profile}
   */
  readonly capture?: boolean;
}

/** Time spent in one node of a graph during a profiled run. */
export interface NodeTime {
  /** Name of the node in the model, or of the node that an optimizer put in its place. */
  readonly node: string;
  /** Operator, such as "Conv". */
  readonly operator: string;
  /** Execution provider that ran it, such as "CPUExecutionProvider", or "celgc" for kernels of the device's own. */
  readonly provider: string;
  /** When it began, in milliseconds since the profile did. */
  readonly start: number;
  /** Milliseconds that it took. */
  readonly milliseconds: number;
}

/** An opened device. Sessions and states belong to whoever asked for them, and go first. */
export interface Device extends AsyncDisposable {
  /** Which engine it is. */
  readonly kind: DeviceKind;
  /** One line for people: engine, version, hardware. */
  readonly description: string;
  /**
   * Channels that the engine's blocked images keep side by side, 1 if it has none: 8 or 16 on CPUs with
   * AVX2 or AVX-512. A graph that was made for one length is wrong on a device of another.
   */
  readonly channelBlock: number;
  /**
   * Operators beyond ONNX's that the device computes by kernels of its own, between two graphs of a model in
   * parts, see the option of `encodeModel` of this name.
   */
  readonly kernels: ReadonlySet<KernelOperator>;
  /**
   * Makes room for variables, filled with zeros.
   *
   * @throws {TypeError | RangeError} a variable has no name, a bad shape, or a name that is taken
   */
  allocate(specs: readonly VariableSpec[]): Promise<DeviceState>;
  /**
   * Prepares an ONNX model for running. Sessions are compiled one after another in a process,
   * however many are asked for at once.
   *
   * @param model an ONNX protobuf, or for a device with kernels a model in parts; may be reused afterwards
   * @throws {Error} the engine refuses the model
   * @throws {TypeError | RangeError} a binding in `options` does not fit the model
   */
  compile(model: Uint8Array, options?: CompileOptions): Promise<Session>;
}

/**
 * Named float32 variables on a device, laid out flat in the order of their declaration.
 *
 * A state cannot be read, written or run upon while it is being edited or after it was disposed of.
 */
export interface DeviceState extends AsyncDisposable {
  /** What it holds, in flat order. */
  readonly specs: readonly VariableSpec[];
  /** Floats in all variables together. */
  readonly length: number;
  /** Where a variable lies in the flat form. */
  range(name: string): VariableRange;
  /**
   * Copies variables to the host.
   *
   * @param into where to, exactly as many floats as they have; a new array if left out
   * @param names which of them, one after the other as named. @default {all, flat}
   */
  read(into?: Float32Array, names?: readonly string[]): Promise<Float32Array>;
  /**
   * Overwrites variables.
   *
   * @param flat exactly as many floats as they have
   * @param names as in {@linkcode DeviceState.read}
   */
  write(flat: Float32Array, names?: readonly string[]): Promise<void>;
  /**
   * Changes the variables in place: `change` gets them all, flat. On the CPU that array is the
   * state's own memory, nothing is copied; on a GPU it costs one read and one upload. The array is
   * the caller's until `change` returns, or its promise resolves, and not longer. When `change`
   * fails the variables on a GPU keep their values; on the CPU they are as `change` left them.
   */
  edit(change: (flat: Float32Array) => void | Promise<void>): Promise<void>;
  /**
   * Says that all variables are read or edited next, before anything changes them: a GPU begins to bring them
   * behind what it has been given, so that to wait for that and for them is one. Changes nothing.
   */
  prefetch(): void;
  /**
   * Follows how far some of the variables move from a point, on the device itself, as long as there is the
   * state.
   *
   * @param format the codec in whose bytes they travel, by its name
   * @param range whole variables that follow each other
   * @returns null where the device cannot, or need not: where variables are in this process's memory, where there
   *   is no room, and for other formats
   */
  follow(format: string, range: VariableRange): Displacement | null;
}

/** A run that was asked for: its feeds have been taken, its outputs may be some time off. */
export interface Submission {
  /** Whether {@linkcode Submission.outputs} resolves without waiting for the device. */
  readonly ready: boolean;
  /**
   * The outputs named in {@linkcode Session.outputs}, owned by the caller; every call returns the same.
   * To ask for them waits until the device has done all that it was given, so it is cheapest to submit
   * several runs and then ask for the outputs of all. They must be asked for before the session is
   * disposed of.
   *
   * @throws {Error} the session was disposed of, or the device lost, before
   */
  outputs(): Promise<Record<string, HostTensor>>;
}

/** A compiled model. */
export interface Session extends AsyncDisposable {
  /** Names of the inputs that {@linkcode Session.run} must be given. */
  readonly inputs: readonly string[];
  /** Names of the outputs that {@linkcode Session.run} returns. */
  readonly outputs: readonly string[];
  /** Whether runs replay a recording, see {@linkcode CompileOptions.capture}. */
  readonly captured: boolean;
  /**
   * Asks for one run of the model, and does not wait for its end where the device works by itself: on a
   * GPU its commands stand in the queue when the promise resolves, on the CPU the run is over. Runs, and
   * what is done with the states, take place in the order of the calls. There is no limit to how many
   * may be under way; whoever asks for them sees to one. A GPU keeps the outputs of up to 16 runs that nobody
   * has asked for, of 256 where they are small: the host then takes the oldest, and a run waits for that.
   *
   * @param feeds a tensor for each name in {@linkcode Session.inputs}, and no other; they may be
   *   reused when the promise resolves
   * @throws {TypeError | RangeError} a feed is missing, unknown, or of another type or shape
   */
  submit(feeds: Readonly<Record<string, HostTensor>>): Promise<Submission>;
  /**
   * Runs the model once: submits, and waits for the outputs.
   *
   * @param feeds as for {@linkcode Session.submit}
   * @returns the outputs named in {@linkcode Session.outputs}, owned by the caller
   * @throws {TypeError | RangeError} a feed is missing, unknown, or of another type or shape
   */
  run(feeds: Readonly<Record<string, HostTensor>>): Promise<Record<string, HostTensor>>;
  /**
   * Ends the profile asked for with {@linkcode CompileOptions.profile} and returns one entry for
   * each node run, in order of execution.
   *
   * @throws {Error} the session was compiled without it, or the profile has ended
   */
  endProfile(): Promise<NodeTime[]>;
}
