/**
 * What the coordinator and the agents of a job tell each other, and the checks on it.
 *
 *     agent → coordinator   hello       who it is
 *     coordinator → agent   welcome     it belongs to the world, or refusal, why not
 *     coordinator → agent   start       its ranks of a job, which may run already
 *     agent → coordinator   failed      they cannot be started
 *     agent → coordinator   output, exit      what its ranks print, and how they end
 *     coordinator → agent   taken       as much of the output has been passed on
 *     coordinator → agent   input, kill       for a rank
 *     coordinator → agent   respawn     another in the stead of a rank that is lost
 *     agent → coordinator   taken       as much of the input has been passed on
 *     coordinator → agent   fetch       a connection that waits at the relay for one of its ranks
 *     agent → coordinator   interrupt   its user wants the job to end
 *     coordinator → agent   close       nothing more will come
 *     both                  alive
 *
 * Jobs of a world come one after the other; messages about a rank name the job by its number.
 *
 * @module
 */

import type { StreamName } from "../ranks/rank.ts";
import { fields, integer, list, number, shown, text, texts } from "../rendezvous/fields.ts";
import type { OnFailure } from "../transport/transport.ts";

/** An agent says who it is. */
export interface HelloMessage {
  readonly type: "hello";
  /** Version of its program. */
  readonly version: string;
  /** How many ranks it will start. */
  readonly ranks: number;
  readonly host: { readonly name: string; readonly identity: string };
  /** Its place in the order of hosts, or null for the order of arrival. */
  readonly seat: number | null;
  /** Where its ranks can be reached. */
  readonly addresses: readonly string[];
  /** The coordinator's address that it has dialled. */
  readonly dialled: string;
  /** Folder for Unix sockets, or null. */
  readonly sockets: string | null;
  /** Its gateway, and the number that this is known by; shows whether its ranks will be reached. */
  readonly probe: { readonly port: number; readonly mark: number };
}

/** The coordinator takes an agent in. */
export interface WelcomeMessage {
  readonly type: "welcome";
  /** PEM texts of the certificate and its key that all ranks of the world show; null without TLS. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Whether other hosts cannot reach this one. */
  readonly dialsOut: boolean;
  /** After how many seconds without a word the other side is taken for gone. */
  readonly timeout: number;
}

/** The coordinator does not take an agent in. */
export interface RefusalMessage {
  readonly type: "refusal";
  readonly message: string;
}

/** The coordinator has an agent start its ranks of a job. */
export interface StartMessage {
  readonly type: "start";
  /** The number by which later messages name this job. */
  readonly job: number;
  readonly size: number;
  readonly first: number;
  readonly count: number;
  /** Whether they come to a job that runs already. */
  readonly comes: boolean;
  /** How many ranks of the same host are before the first. */
  readonly before: number;
  /** URL, a path on every host, or a path within the runtime's own folder. */
  readonly program: { readonly kind: "url" | "path" | "own"; readonly value: string };
  /** SHA-256 of the program's file in hexadecimal digits; null for a URL. */
  readonly hash: string | null;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly allow: readonly string[];
  readonly timeout: number;
  readonly joinTimeout: number;
  readonly transport: "auto" | "tcp" | "unix" | "mpi";
  readonly link: string | null;
  readonly connections: number;
  readonly onFailure: OnFailure;
  /** Ranks that get a standard input. */
  readonly stdin: readonly number[];
  /** This host's name in messages, different from that of all other hosts. */
  readonly host: string;
  /** The agent's number among the launchers of this host that have been invited; null where it is the only one. */
  readonly launcher: number | null;
  /** Folder for Unix sockets, or null. */
  readonly sockets: string | null;
  /** Hosts that ranks talk to; null for any, where others may come. */
  readonly peers: readonly string[] | null;
  /** Whatever the caller has to tell its agents, as JSON. */
  readonly details: unknown;
}

/** A part of a rank's output, or of its input; empty at its end. */
export interface BytesMessage {
  readonly type: "output" | "input";
  readonly job: number;
  readonly rank: number;
  readonly stream: StreamName;
  /** In base64. */
  readonly bytes: string;
}

/** So many bytes have been passed on. */
export interface TakenMessage {
  readonly type: "taken";
  readonly job: number;
  readonly rank: number;
  readonly stream: StreamName;
  readonly count: number;
}

/** A rank's process has ended. */
export interface ExitMessage {
  readonly type: "exit";
  readonly job: number;
  readonly rank: number;
  readonly code: number;
  readonly signal: string | null;
}

/** An agent cannot start its ranks. */
export interface FailedMessage {
  readonly type: "failed";
  readonly job: number;
  readonly message: string;
}

/** The coordinator has an agent start a rank in the stead of one that is lost. */
export interface RespawnMessage {
  readonly type: "respawn";
  readonly job: number;
  readonly rank: number;
  /** The rank that is lost, of this host. */
  readonly lost: number;
}

/** A signal for a rank. */
export interface KillMessage {
  readonly type: "kill";
  readonly job: number;
  readonly rank: number;
  readonly signal: Deno.Signal;
}

/** Somebody waits at the relay for a rank of an agent whose host can only dial out. */
export interface FetchMessage {
  readonly type: "fetch";
  readonly rank: number;
  readonly ticket: number;
}

/** An agent's user has ended the job. */
export interface InterruptMessage {
  readonly type: "interrupt";
  readonly how: string;
}

/** The world is at its end. */
export interface CloseMessage {
  readonly type: "close";
  /** The exit code for agents. */
  readonly code: number;
  /** Why, if it is to be said. */
  readonly message: string | null;
}

/** The other side is still there. */
export interface AliveMessage {
  readonly type: "alive";
}

/** From an agent to the coordinator. */
export type AgentMessage =
  | HelloMessage
  | BytesMessage
  | TakenMessage
  | ExitMessage
  | FailedMessage
  | InterruptMessage
  | AliveMessage;

/** From the coordinator to an agent. */
export type CoordinatorMessage =
  | WelcomeMessage
  | RefusalMessage
  | StartMessage
  | BytesMessage
  | TakenMessage
  | KillMessage
  | RespawnMessage
  | FetchMessage
  | CloseMessage
  | AliveMessage;

/** Largest message to the coordinator, in bytes. */
export const LARGEST_AGENT_MESSAGE = 256 << 10;

/** Largest message to an agent, in bytes: arguments and environment are as large as systems allow. */
export const LARGEST_COORDINATOR_MESSAGE = 4 << 20;

/** Most bytes of output or input in one message. */
export const MOST_BYTES = 64 << 10;

/** Most bytes of a stream that may be on their way without having been taken. */
export const WINDOW_BYTES = 256 << 10;

/** What a message has before its fields have been looked at. */
type Fields = Record<string, unknown>;

/** @throws TypeError if it is no message of an agent */
export function checkAgentMessage(value: unknown): AgentMessage {
  const message = fields(value);
  switch (message.type) {
    case "hello":
      return hello(message);
    case "output":
      return bytes("output", message);
    case "taken":
      return taken(message);
    case "exit":
      return {
        type: "exit",
        ...rankOf(message),
        code: integer(message.code, "code"),
        signal: message.signal === null ? null : text(message.signal, "signal"),
      };
    case "failed":
      return {
        type: "failed",
        job: integer(message.job, "job"),
        message: text(message.message, "message"),
      };
    case "interrupt":
      return { type: "interrupt", how: text(message.how, "how") };
    case "alive":
      return { type: "alive" };
  }
  throw new TypeError(`unknown type ${shown(message.type)} of a message from an agent`);
}

/** @throws TypeError if it is no message of the coordinator */
export function checkCoordinatorMessage(value: unknown): CoordinatorMessage {
  const message = fields(value);
  switch (message.type) {
    case "welcome":
      return welcome(message);
    case "refusal":
      return { type: "refusal", message: text(message.message, "message") };
    case "start":
      return start(message);
    case "input":
      return bytes("input", message);
    case "taken":
      return taken(message);
    case "respawn":
      return { type: "respawn", ...rankOf(message), lost: integer(message.lost, "lost") };
    case "kill":
      return { type: "kill", ...rankOf(message), signal: signal(message.signal) };
    case "fetch":
      return {
        type: "fetch",
        rank: integer(message.rank, "rank"),
        ticket: integer(message.ticket, "ticket"),
      };
    case "close":
      return {
        type: "close",
        code: integer(message.code, "code"),
        message: message.message === null ? null : text(message.message, "message"),
      };
    case "alive":
      return { type: "alive" };
  }
  throw new TypeError(`unknown type ${shown(message.type)} of a message from the coordinator`);
}

function hello(message: Fields): HelloMessage {
  const host = fields(message.host), probe = fields(message.probe);
  return {
    type: "hello",
    version: text(message.version, "version"),
    ranks: integer(message.ranks, "ranks"),
    host: { name: text(host.name, "name"), identity: text(host.identity, "identity") },
    seat: message.seat === null ? null : integer(message.seat, "seat"),
    addresses: texts(message.addresses, "addresses"),
    dialled: text(message.dialled, "dialled"),
    sockets: message.sockets === null ? null : text(message.sockets, "sockets"),
    probe: { port: integer(probe.port, "port"), mark: integer(probe.mark, "mark") },
  };
}

function welcome(message: Fields): WelcomeMessage {
  const tls = message.tls === null ? null : fields(message.tls);
  return {
    type: "welcome",
    tls: tls === null ? null : { cert: text(tls.cert, "cert"), key: text(tls.key, "key") },
    dialsOut: message.dialsOut === true,
    timeout: number(message.timeout, "timeout"),
  };
}

function start(message: Fields): StartMessage {
  const program = fields(message.program), kind = programKind(program.kind);
  return {
    type: "start",
    transport: transport(message.transport),
    job: integer(message.job, "job"),
    size: integer(message.size, "size"),
    first: integer(message.first, "first"),
    count: integer(message.count, "count"),
    comes: message.comes === true,
    before: integer(message.before, "before"),
    program: { kind, value: text(program.value, "program") },
    hash: message.hash === null ? null : text(message.hash, "hash"),
    args: texts(message.args, "args"),
    env: Object.fromEntries(
      Object.entries(fields(message.env)).map(([name, value]) => [name, text(value, name)]),
    ),
    allow: texts(message.allow, "allow"),
    timeout: number(message.timeout, "timeout"),
    joinTimeout: number(message.joinTimeout, "joinTimeout"),
    link: message.link === null ? null : text(message.link, "link"),
    connections: integer(message.connections, "connections"),
    onFailure: message.onFailure === "return" ? "return" : "abort",
    stdin: list(message.stdin, "stdin").map((rank) => integer(rank, "stdin")),
    host: text(message.host, "host"),
    launcher: message.launcher === null ? null : integer(message.launcher, "launcher"),
    sockets: message.sockets === null ? null : text(message.sockets, "sockets"),
    peers: message.peers === null ? null : texts(message.peers, "peers"),
    details: message.details,
  };
}

function programKind(value: unknown): StartMessage["program"]["kind"] {
  const kind = text(value, "kind");
  return oneOf(["url", "path", "own"], kind, `kind ${kind} of a program`);
}

function transport(value: unknown): StartMessage["transport"] {
  return oneOf(["auto", "tcp", "unix", "mpi"], value, `transport ${shown(value)}`);
}

function rankOf(message: Fields): { job: number; rank: number } {
  return { job: integer(message.job, "job"), rank: integer(message.rank, "rank") };
}

function stream(value: unknown): StreamName {
  return oneOf(["stdout", "stderr"], value, `stream ${shown(value)}`);
}

function bytes(type: "output" | "input", message: Fields): BytesMessage {
  return {
    type,
    ...rankOf(message),
    stream: stream(message.stream),
    bytes: text(message.bytes, "bytes"),
  };
}

function taken(message: Fields): TakenMessage {
  return {
    type: "taken",
    ...rankOf(message),
    stream: stream(message.stream),
    count: integer(message.count, "count"),
  };
}

function signal(value: unknown): Deno.Signal {
  return oneOf(["SIGTERM", "SIGKILL", "SIGINT"], value, `signal ${shown(value)}`);
}

/** @param what it is said to be, with its value */
function oneOf<const T extends string>(known: readonly T[], value: unknown, what: string): T {
  const found = known.find((name) => name === value);
  if (found === undefined) throw new TypeError(`unknown ${what}`);
  return found;
}
