/**
 * The agent: finds the coordinator, and starts, feeds, watches and ends the ranks of its own host for it.
 * When the coordinator is gone, its ranks end, and so does it.
 *
 * @module
 */

import { HandshakeError, RendezvousError } from "../base/errors.ts";
import { counted } from "../base/words.ts";
import { HostFolder } from "../ranks/host_folder.ts";
import { BEHIND, Gateway } from "../rendezvous/gateway.ts";
import { MOST_ADDRESSES } from "../rendezvous/messages.ts";
import { CERTIFICATE_NAME } from "../security/certificate.ts";
import { dialMember } from "../security/dialer.ts";
import {
  isLoopback,
  listenAtAll,
  parseAddress,
  type TlsMaterial,
  withScope,
} from "../security/endpoint.ts";
import { COORDINATOR_RANK, type Credentials, credentials } from "../security/handshake.ts";
import { AgentJob, type Prepare } from "./agent_job.ts";
import { AgentChannel } from "./channel.ts";
import {
  checkCoordinatorMessage,
  type CoordinatorMessage,
  type FetchMessage,
  type HelloMessage,
  LARGEST_COORDINATOR_MESSAGE,
  type WelcomeMessage,
} from "./messages.ts";
import { addressesOf, ownAddresses, thisHost } from "./this_host.ts";

/** How long the ranks of an agent may take to end once they are told to, in ms. */
const TERM_MS = 1000;
/** How long the coordinator may take to end the job once an agent's user has insisted, in ms. */
const INTERRUPT_MS = 10_000;
/** How long an agent waits before it tries all addresses again, in ms. */
const RETRY_MS = 300;
/** How often the coordinator may hang up before it is believed not to know this job. */
const MOST_HANG_UPS = 3;
/** How long one address may take to answer, in ms. */
const ANSWER_MS = 5000;

/** Where the coordinator is, and what proves it. */
export interface CoordinatorAddress {
  /** Each as `host:port`. */
  readonly addresses: readonly string[];
  readonly job: string;
  /** In hexadecimal digits. */
  readonly secret: string;
  /** Certificate of the job's authority, PEM; null without TLS. */
  readonly ca: string | null;
}

/** How to take part. */
export interface AgentOptions {
  /** How many ranks to start here. */
  readonly ranks: number;
  /** Version of the program. */
  readonly version: string;
  /** This agent's place in the order of hosts; null for the order of arrival. */
  readonly seat: number | null;
  /** Address, network or card of this host at which others reach its ranks; null for the nearest to them. */
  readonly listen: string | null;
  /** Port at which others reach all of its ranks; null for ports of their own. */
  readonly port: number | null;
  /** How long to look for the coordinator, in seconds. */
  readonly joinTimeout: number;
  /**
   * Ends the search for the coordinator, and then the job on all hosts; only this host's part where that had begun
   * before it came, or, for one that was invited, has not begun.
   */
  readonly signal?: AbortSignal;
  /** Is given what is to be called with each signal: its name, and the exit code of who ends by it. */
  readonly interrupts?: (interrupt: (how: string, code: number) => void) => void;
  /** Resolves when whoever has started this agent is gone; then it ends at once. */
  readonly orphaned?: Promise<void>;
  /** What this host has to say to how its ranks are started. */
  readonly prepare?: Prepare;
  /** Says a line to the user. */
  say(line: string): void;
}

/** How an agent ended. */
export interface AgentOutcome {
  /** The job's exit code; 1 if the coordinator was lost. */
  readonly code: number;
  /** Why, if it was not well. */
  readonly message: string | null;
}

/**
 * Takes part in a world until the coordinator says that it is at its end.
 *
 * @throws RendezvousError if there is no coordinator, or it refuses this agent
 * @throws HandshakeError if the coordinator cannot be trusted, or does not trust this agent
 */
export async function runAgent(
  coordinator: CoordinatorAddress | ((deadline: number) => Promise<CoordinatorAddress>),
  options: AgentOptions,
): Promise<AgentOutcome> {
  const deadline = performance.now() + 1000 * options.joinTimeout;
  const found = await dialCoordinator(coordinator, deadline, options);
  const { connection, hostname, port, address, job } = found;
  await using opened = new AsyncDisposableStack();
  const channel = new AgentChannel(
    connection,
    LARGEST_COORDINATOR_MESSAGE,
    checkCoordinatorMessage,
  );
  opened.defer(() => channel.close());
  const addresses = addressesHere(options.listen, connection, hostname);
  // It may turn out that other launchers of this host are to share it.
  const folder = opened.use(await HostFolder.make()), { sockets } = folder;
  let gateway: Gateway | null = openGateway(addresses, options.port, job);
  opened.defer(() => gateway?.close());
  const welcome = await enter(channel, {
    type: "hello",
    version: options.version,
    ranks: options.ranks,
    host: thisHost(),
    seat: options.seat,
    addresses,
    dialled: hostname,
    sockets: Deno.build.os === "windows" ? null : sockets,
    probe: { port: gateway.port, mark: gateway.mark },
  });
  const { dialsOut } = welcome;
  if (options.port === null || dialsOut) {
    gateway.close();
    gateway = dialsOut ? openGateway([BEHIND], null, job) : null;
  }
  channel.watch(welcome.timeout);
  const tls = welcome.tls && address.ca !== null
    ? await folder.writeTls({ ...welcome.tls, ca: address.ca })
    : null;
  options.say(
    `joined job ${address.job} at ${hostname} with ${counted(options.ranks, "rank")}${
      dialsOut ? "; others cannot reach this host, so its ranks dial them" : ""
    }`,
  );
  const fetch = ({ rank, ticket }: FetchMessage) =>
    gateway?.fetch(rank, ticket, { hostname, port }).catch(() => {}); // Whoever waits there gives up.
  return await serve(channel, options, fetch, (message) =>
    new AgentJob(message, {
      channel,
      name: address.job,
      secret: address.secret,
      rendezvous: { hostname, port },
      addresses,
      dialsOut,
      gateway,
      sockets,
      tls,
      prepare: options.prepare,
    }));
}

/** Where others may reach this host: as its user says, or where it has reached the coordinator from. */
function addressesHere(
  listen: string | null,
  connection: Deno.Conn,
  coordinator: string,
): string[] {
  if (listen !== null) return addressesOf(listen).slice(0, MOST_ADDRESSES);
  const local = withScope((connection.localAddr as Deno.NetAddr).hostname, coordinator);
  return isLoopback(local) ? [local, ...ownAddresses()].slice(0, MOST_ADDRESSES) : [local];
}

/**
 * Says who this agent is, and waits to be let in.
 *
 * @throws RendezvousError if it is not
 */
async function enter(
  channel: AgentChannel<CoordinatorMessage>,
  hello: HelloMessage,
): Promise<WelcomeMessage> {
  await channel.send(hello);
  const answer = await channel.receive().catch(() => null);
  if (answer?.type === "welcome") return answer;
  throw new RendezvousError(
    answer?.type === "refusal"
      ? `cannot join: ${answer.message}`
      : "cannot join: the coordinator has ended the connection",
  );
}

/**
 * Listens where others are to reach this host's ranks.
 *
 * @throws RendezvousError if it cannot
 */
function openGateway(
  addresses: readonly string[],
  port: number | null,
  job: Credentials,
): Gateway {
  try {
    return new Gateway({ listener: listenAtAll(addresses, port ?? 0), job });
  } catch (error) {
    throw new RendezvousError(
      `cannot join: cannot listen on ${addresses.join(", ")}${
        port === null ? "" : `, port ${port}`
      }: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Does what the coordinator says, until there is no more. */
async function serve(
  channel: AgentChannel<CoordinatorMessage>,
  options: AgentOptions,
  fetch: (message: FetchMessage) => void,
  start: (message: CoordinatorMessage & { type: "start" }) => AgentJob,
): Promise<AgentOutcome> {
  const jobs = new Set<AgentJob>();
  let current: AgentJob | null = null, outcome: AgentOutcome | null = null;
  const told = new Set<string>();
  let patience: ReturnType<typeof setTimeout> | undefined;
  const interrupt = (how: string, code: number) => {
    // Who has been invited and has no ranks yet ends nobody else's; nor who has come to a job that was there before.
    if (current?.comes ?? options.seat === null) {
      outcome ??= { code, message: `left by ${how}; the others go on` };
      return channel.close();
    }
    channel.send({ type: "interrupt", how });
    // A run may be asked by the first to end with a checkpoint.
    if (how === "abort" || told.has(how)) {
      patience ??= setTimeout(() => channel.close(), INTERRUPT_MS);
    }
    told.add(how);
  };
  options.interrupts?.(interrupt);
  options.orphaned?.then(() => channel.close());
  const reason = await channel.deliver((message) => {
    switch (message.type) {
      case "start": {
        current?.finish();
        const job = current = start(message);
        jobs.add(job);
        job.done.then((failure) => {
          jobs.delete(job);
          // The others go on without it, so that nothing is left to do here.
          if (failure === null || !job.comes) return;
          outcome = { code: 1, message: `cannot join: ${failure}` };
          channel.close();
        });
        return;
      }
      case "respawn":
        if (message.job === current?.number) current.respawn(message);
        return;
      case "input":
      case "taken":
      case "kill":
        if (message.job === current?.number) current.take(message);
        return;
      case "fetch":
        return fetch(message);
      case "close":
        outcome = { code: message.code, message: message.message };
    }
  });
  clearTimeout(patience);
  await Promise.all([...jobs].map((job) => job.end(TERM_MS)));
  return outcome ?? { code: 1, message: `the coordinator is gone: ${reason}` };
}

/** A proven connection to the coordinator. */
interface CoordinatorConnection {
  readonly connection: Deno.Conn;
  readonly hostname: string;
  readonly port: number;
  readonly address: CoordinatorAddress;
  readonly job: Credentials;
}

/**
 * Tries all addresses at once, again and again, until the coordinator has proved itself at one.
 *
 * @param coordinator where it is, or what finds that out again for each try
 * @param deadline when to give up, on the clock of `performance.now()`
 * @throws RendezvousError if it was given up, or it is not there
 * @throws HandshakeError if the coordinator cannot be trusted, or does not trust this agent
 */
async function dialCoordinator(
  coordinator: CoordinatorAddress | ((deadline: number) => Promise<CoordinatorAddress>),
  deadline: number,
  { signal, orphaned }: AgentOptions,
): Promise<CoordinatorConnection> {
  const isFixed = typeof coordinator !== "function"; // a rendezvous file may be an earlier job's
  let orphan = false, hangUps = 0;
  orphaned?.then(() => orphan = true);
  for (;;) {
    const address = isFixed ? coordinator : await coordinator(deadline);
    const job = await credentials(address.job, Uint8Array.fromHex(address.secret));
    const tls = address.ca === null
      ? undefined
      : { cert: "", key: "", ca: address.ca, name: CERTIFICATE_NAME };
    try {
      return await dialAny(address, job, tls, deadline);
    } catch (error) {
      const last = error instanceof AggregateError ? error.errors : [error];
      const final = last.find((one) => one instanceof HandshakeError && one.final);
      if (final !== undefined && isFixed) throw final;
      const hangUp = last.find((one) => one instanceof HandshakeError);
      // It may have had too many strangers at its door.
      if (hangUp !== undefined && isFixed) hangUps++;
      if (hangUps >= MOST_HANG_UPS) throw hangUp;
      if (signal?.aborted || orphan) throw new RendezvousError("cannot join: it was ended");
      if (performance.now() >= deadline) throw final ?? hangUp ?? last[0];
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

async function dialAny(
  address: CoordinatorAddress,
  job: Credentials,
  tls: TlsMaterial | undefined,
  deadline: number,
): Promise<CoordinatorConnection> {
  let won = false;
  return await Promise.any(address.addresses.map(async (text) => {
    const { hostname, port } = parseAddress(text);
    const connection = await dialMember({
      endpoints: [{ kind: "tcp", hostname, port }],
      job,
      purpose: "agent",
      self: crypto.getRandomValues(new Uint32Array(1))[0],
      peer: COORDINATOR_RANK,
      name: "the coordinator",
      selfName: "this agent",
      tls,
      deadline: Math.min(deadline, performance.now() + ANSWER_MS),
      once: true,
    });
    if (won) {
      connection.close();
      throw new Error("another address was faster");
    }
    won = true;
    return { connection, hostname, port, address, job };
  }));
}
