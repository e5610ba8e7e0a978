/**
 * Starts agents on other hosts by ssh. The invitation goes through ssh's standard input, whose end is the
 * end of the agent.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { RendezvousError } from "../base/errors.ts";
import type { HostSlots } from "./hostfile.ts";
import { encodeInvitation, type Invitation } from "./invitation.ts";

/** How agents are started. */
export interface SshOptions {
  /** The command and its first arguments. @default {["ssh"]} */
  readonly command?: readonly string[];
  /** `deno` on the other hosts. @default {as the PATH there says, ~/.deno/bin, or where it is here} */
  readonly deno?: string;
  /** URL of the program that joins there; one of a file means the same path on all hosts. */
  readonly program: string;
  /** Its arguments before those that say which ranks it has. */
  readonly args?: readonly string[];
  /** The one port at which others reach each of the hosts. @default {any, and one of each rank} */
  readonly port?: number;
}

/** How long ssh may take to end once its standard input has, in ms. */
const END_MS = 3000;

/** Most lines of what ssh says that are remembered. */
const MOST_LINES = 5;

/** Agents that ssh has started. */
export interface SshAgents {
  /** Rejects with RendezvousError if one of them has ended before `close()`. */
  readonly failed: Promise<never>;
  /** Says that all have come: what ends from here on is no longer this one's to tell. */
  settle(): void;
  /** Ends them. */
  close(): Promise<void>;
}

/**
 * Starts an agent on each host.
 *
 * @param seats the hosts, by their places in the order of hosts
 */
export function startAgents(
  seats: ReadonlyMap<number, HostSlots>,
  invitation: Invitation,
  options: SshOptions,
  say: (line: string) => void,
): SshAgents {
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  let settled = false;
  const children = [...seats].map(([seat, { name, slots }]) => {
    const { program, args = [], port } = options;
    const own = ["--ranks", String(slots), "--seat", String(seat)];
    if (port !== undefined) own.push("--port", String(port));
    const child = start(name, remoteCommand([program, ...args, ...own], options), options);
    const last: string[] = [];
    const lines = Promise.all(
      [child.stdout!, child.stderr!].map((stream) =>
        readLines(stream, (line) => {
          last.push(line);
          if (last.length > MOST_LINES) last.shift();
          say(`[${name}] ${line}`);
        })
      ),
    );
    child.once("error", (error) => {
      failure.reject(
        new RendezvousError(`cannot launch: ssh cannot be started: ${error.message}`, {
          cause: error,
        }),
      );
    });
    const ended = new Promise<void>((resolve) => {
      child.once("error", () => resolve());
      child.once("exit", (code, signal) => {
        resolve();
        if (settled) return;
        Promise.race([lines, new Promise((resolve) => setTimeout(resolve, 200))]).then(() => {
          const how = signal === null ? `exit code ${code}` : signal;
          const words = last.at(-1) ?? "it said nothing";
          failure.reject(
            new RendezvousError(
              `cannot launch: ${name}: ssh ended with ${how} before its ranks were there: ${words}`,
            ),
          );
        });
      });
    });
    child.stdin!.on("error", () => {});
    child.stdin!.write(`${encodeInvitation(invitation)}\n`);
    return { child, ended };
  });
  return {
    failed: failure.promise,
    settle: () => void (settled = true),
    async close() {
      settled = true;
      for (const { child } of children) child.stdin!.end();
      const timer = setTimeout(() => {
        for (const { child } of children) child.kill("SIGTERM");
      }, END_MS);
      await Promise.all(children.map(({ ended }) => ended));
      clearTimeout(timer);
    },
  };
}

/**
 * Runs a program on another host as if it were this one: what it prints is this process's output. Its
 * standard input is a pipe.
 */
export function runThere(name: string, options: SshOptions): ChildProcess {
  const { program, args = [] } = options;
  return start(name, remoteCommand([program, ...args], options), options, "inherit");
}

function start(
  name: string,
  command: string,
  { command: ssh = ["ssh"] }: SshOptions,
  output: "pipe" | "inherit" = "pipe",
): ChildProcess {
  const [program, ...args] = ssh;
  return spawn(program, [...args, "-o", "BatchMode=yes", "--", name, command], {
    stdio: ["pipe", output, output],
    detached: Deno.build.os !== "windows", // Ctrl-C is for the launcher, which ends agents in order.
  });
}

/** What the shell of the other host is to run: a program of Deno's, and its arguments. */
function remoteCommand([program, ...args]: readonly string[], options: SshOptions): string {
  const { deno = "deno" } = options;
  const words = [
    deno,
    "run",
    "-A",
    program.startsWith("file:") ? decodeURIComponent(new URL(program).pathname) : program,
    ...args,
  ];
  // What is no login shell often has no PATH to speak of.
  const path = `PATH="$PATH:$HOME/.deno/bin:${dirname(Deno.execPath())}"`;
  const script = `${path}; export PATH; exec ${words.map(quote).join(" ")}`;
  return `exec /bin/sh -c ${quote(script)}`;
}

/** A word for a shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

async function readLines(stream: Readable, take: (line: string) => void): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  try {
    for await (const bytes of stream as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) take(line.trimEnd());
    }
  } catch {
    // Cut off.
  }
  if (rest !== "") take(rest.trimEnd());
}
