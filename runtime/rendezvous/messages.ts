/**
 * What a rank and the rendezvous tell each other, and the checks on it. Whoever knows the secret is
 * trusted to mean well, not to be free of faults: every field is looked at.
 *
 * @module
 */

import { fields, integer, list, number, shown, text } from "./fields.ts";
import type { Endpoint } from "../security/endpoint.ts";
import type { OnFailure } from "../transport/transport.ts";

/** A rank says where it can be reached. */
export interface JoinMessage {
  readonly type: "join";
  /** Name of its host. */
  readonly host: string;
  readonly pid: number;
  /** In order of preference. */
  readonly endpoints: readonly Endpoint[];
  /**
   * Whether ranks of other hosts cannot reach it, as behind a router that translates addresses.
   * @default {false}
   */
  readonly dialsOut?: boolean;
  /** How many connections it wants to each rank of another host. @default {1} */
  readonly connections?: number;
  /** What the loss of a rank is to the others. @default {"abort"} */
  readonly onFailure?: OnFailure;
}

/** A rank says what went wrong, before it ends. */
export interface ReportMessage {
  readonly type: "report";
  readonly message: string;
  readonly operation: string | null;
  /** The caller's training step. */
  readonly step: number | null;
  /** The rank that this one has lost, if that is the reason. */
  readonly lost: number | null;
}

/** A rank ends the job, or is told that the job is at an end. */
export interface AbortMessage {
  readonly type: "abort";
  readonly code: number;
  readonly message: string;
}

/** A rank has said goodbye to all others; the answer is the same message. */
export interface FinalizedMessage {
  readonly type: "finalized";
}

/** A rank says in which operations it waits for others, when it is asked. */
export interface PendingMessage {
  readonly type: "pending";
  /** In words. */
  readonly operations: readonly string[];
}

/** A rank is about to connect to a process that wants to belong to the running job. */
export interface InviteMessage {
  readonly type: "invite";
  /** The rank that it would be. */
  readonly rank: number;
  /** The ranks that are about to connect to it. */
  readonly members: readonly number[];
  /** All processes that are invited at once: they connect to each other. */
  readonly newcomers: readonly number[];
}

/** Such a process, as a rank of the job, is told of the communicator that it is in. */
export interface WelcomeMessage {
  readonly type: "welcome";
  /** Its rank. */
  readonly rank: number;
  /** The communicator's number. */
  readonly context: number;
  /** Its members, by their ranks in the job. */
  readonly members: readonly number[];
}

/** From a rank to the rendezvous. */
export type RankMessage =
  | InviteMessage
  | JoinMessage
  | WelcomeMessage
  | ReportMessage
  | AbortMessage
  | FinalizedMessage
  | PendingMessage;

/** A rank, its host, and where it can be reached. */
export interface TableEntry {
  readonly host: string;
  readonly endpoints: readonly Endpoint[];
  /** As in {@linkcode JoinMessage}. @default {false} */
  readonly dialsOut?: boolean;
  /** As in {@linkcode JoinMessage}. @default {1} */
  readonly connections?: number;
}

/** All ranks, in order; sent once all have joined. */
export interface TableMessage {
  readonly type: "table";
  readonly ranks: readonly TableEntry[];
}

/** A rank has ended although it was needed. */
export interface LostMessage {
  readonly type: "lost";
  readonly rank: number;
  readonly reason: string;
}

/** A process wants to belong to the running job, or, without an entry, no longer does. */
export interface KnockMessage {
  readonly type: "knock";
  /** The rank that it would be. */
  readonly rank: number;
  readonly entry: TableEntry | null;
}

/** To such a process: it is invited. */
export interface InvitedMessage {
  readonly type: "invited";
  /** As in {@linkcode InviteMessage}. */
  readonly members: readonly number[];
  /** As in {@linkcode InviteMessage}, itself among them. */
  readonly newcomers: readonly (readonly [rank: number, entry: TableEntry])[];
  /** Host of each rank that the job has had; empty where there was none. */
  readonly hosts: readonly string[];
}

/** Asks a rank for a {@linkcode PendingMessage}. */
export interface InquiryMessage {
  readonly type: "inquiry";
}

/** From the rendezvous to a rank. */
export type ServerMessage =
  | TableMessage
  | LostMessage
  | AbortMessage
  | FinalizedMessage
  | InquiryMessage
  | KnockMessage
  | InvitedMessage
  | WelcomeMessage;

/** Most operations that a rank tells of. */
export const MOST_PENDING = 8;

/** Most addresses of a host that its ranks tell the others. */
export const MOST_ADDRESSES = 3;

/** Most endpoints of a rank: a Unix socket, a port of this host's own, and its host's addresses. */
const MOST_ENDPOINTS = 2 + MOST_ADDRESSES;

/** Most ranks that a job has in its life. */
export const MOST_RANKS = 2 ** 20;

/** Most connections between two ranks. */
export const MOST_CONNECTIONS = 64;

/** Largest message between the rendezvous and a rank of a job of this size, in bytes. */
export function largestMessage(size: number): number {
  return (64 << 10) + 1024 * size;
}

/** Cuts a text so that a message around it stays within {@linkcode largestMessage}. */
export function shorten(text: string, most = 4000): string {
  return text.length <= most ? text : `${text.slice(0, most)} …`;
}

/** @throws TypeError if it is no message of a rank */
export function checkRankMessage(value: unknown): RankMessage {
  const message = fields(value);
  switch (message.type) {
    case "join":
      return {
        type: "join",
        host: text(message.host, "host"),
        pid: integer(message.pid, "pid"),
        endpoints: endpoints(message.endpoints),
        ...(message.dialsOut === true ? { dialsOut: true } : {}),
        ...connections(message.connections),
        ...(message.onFailure === "return" ? { onFailure: "return" } : {}),
      };
    case "report":
      return {
        type: "report",
        message: text(message.message, "message"),
        operation: message.operation === null ? null : text(message.operation, "operation"),
        step: message.step === null ? null : number(message.step, "step"),
        lost: message.lost === null ? null : integer(message.lost, "lost"),
      };
    case "abort":
      return abort(message);
    case "invite":
      return {
        type: "invite",
        rank: rank(message.rank),
        members: list(message.members, "members").map(rank),
        newcomers: list(message.newcomers, "newcomers").map(rank),
      };
    case "welcome":
      return welcome(message);
    case "finalized":
      return { type: "finalized" };
    case "pending": {
      const operations = list(message.operations, "operations").slice(0, MOST_PENDING);
      return {
        type: "pending",
        operations: operations.map((operation) => shorten(text(operation, "operation"), 200)),
      };
    }
  }
  throw new TypeError(`unknown type ${shown(message.type)} of a message from a rank`);
}

/**
 * @param ranks how many ranks there may be, where some may come later
 * @throws TypeError if it is no message of the rendezvous to a rank of a job of this size
 */
export function checkServerMessage(value: unknown, size: number, ranks = size): ServerMessage {
  const message = fields(value);
  switch (message.type) {
    case "table": {
      const ranks = list(message.ranks, "ranks").map(tableEntry);
      if (ranks.length !== size) {
        throw new TypeError(`a table of ${ranks.length} ranks, this job has ${size}`);
      }
      return { type: "table", ranks };
    }
    case "knock": {
      const entry = message.entry === null ? null : tableEntry(message.entry);
      return { type: "knock", rank: rank(message.rank), entry };
    }
    case "invited":
      return {
        type: "invited",
        members: list(message.members, "members").map(rank),
        newcomers: list(message.newcomers, "newcomers").map((pair) => {
          const [number, entry] = list(pair, "newcomer");
          return [rank(number), tableEntry(entry)];
        }),
        hosts: list(message.hosts, "hosts").map((host) => text(host, "host")),
      };
    case "welcome":
      return welcome(message);
    case "lost": {
      const rank = integer(message.rank, "rank");
      if (rank >= ranks) throw new TypeError(`lost rank ${rank} of ${ranks}`);
      return { type: "lost", rank, reason: text(message.reason, "reason") };
    }
    case "abort":
      return abort(message);
    case "finalized":
      return { type: "finalized" };
    case "inquiry":
      return { type: "inquiry" };
  }
  throw new TypeError(`unknown type ${shown(message.type)} of a message to a rank`);
}

/** @throws TypeError if it says of no rank where it can be reached */
export function tableEntry(value: unknown): TableEntry {
  const entry = fields(value);
  return {
    host: text(entry.host, "host"),
    endpoints: endpoints(entry.endpoints),
    ...(entry.dialsOut === true ? { dialsOut: true } : {}),
    ...connections(entry.connections),
  };
}

function rank(value: unknown): number {
  const number = integer(value, "rank");
  if (number < MOST_RANKS) return number;
  throw new TypeError(`a job has at most ${MOST_RANKS} ranks, found rank ${number}`);
}

function welcome(message: Record<string, unknown>): WelcomeMessage {
  return {
    type: "welcome",
    rank: rank(message.rank),
    context: integer(message.context, "context"),
    members: list(message.members, "members").map(rank),
  };
}

function abort(message: Record<string, unknown>): AbortMessage {
  const code = integer(message.code, "code");
  if (code > 255) throw new TypeError(`an exit code is at most 255, not ${code}`);
  return { type: "abort", code, message: text(message.message, "message") };
}

/** Nothing for 1, which goes without saying. */
function connections(value: unknown): { connections?: number } {
  const count = integer(value ?? 1, "connections");
  if (count < 1 || count > MOST_CONNECTIONS) {
    throw new TypeError(`a rank has 1 to ${MOST_CONNECTIONS} connections to another, not ${count}`);
  }
  return count === 1 ? {} : { connections: count };
}

function endpoints(value: unknown): Endpoint[] {
  const all = list(value, "endpoints").map(fields).map((endpoint): Endpoint => {
    if (endpoint.kind === "unix") return { kind: "unix", path: text(endpoint.path, "path") };
    const { kind } = endpoint;
    if (kind !== "tcp" && kind !== "gateway") {
      throw new TypeError("an endpoint is tcp, gateway or unix");
    }
    const port = integer(endpoint.port, "port");
    if (port > 65535) throw new TypeError(`a port is at most 65535, not ${port}`);
    return { kind, hostname: text(endpoint.hostname, "hostname"), port };
  });
  // None where an MPI library carries the frames.
  if (all.length > MOST_ENDPOINTS) {
    throw new TypeError(`a rank has at most ${MOST_ENDPOINTS} endpoints, not ${all.length}`);
  }
  return all;
}
