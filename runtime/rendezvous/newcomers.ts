/**
 * Processes that come to the rendezvous of a running job: the ranks hear that they wait; once the ranks
 * have agreed to let them in, they hear who connects to them, and at last which communicator they are in.
 *
 *     newcomer → rendezvous   join        where it can be reached
 *     rendezvous → ranks      knock       it waits, or has gone again
 *     ranks → rendezvous      invite      they are about to connect to it; the first counts
 *     rendezvous → newcomer   invited     who will, and who else is invited
 *     ranks → rendezvous      welcome     what they have agreed on; the first counts
 *     rendezvous → newcomer   welcome     the same
 *
 * @module
 */

import type {
  InviteMessage,
  JoinMessage,
  KnockMessage,
  ServerMessage,
  TableEntry,
  WelcomeMessage,
} from "./messages.ts";

/** What the rendezvous does for newcomers. */
export interface NewcomerActions {
  /** Hosts of the ranks that the job began with. */
  hosts(): readonly string[];
  /** Tells all that are connected. */
  announce(message: KnockMessage): void;
  /** Tells one of them. */
  tell(rank: number, message: ServerMessage): void;
  /** A newcomer is a rank of the job. */
  admitted(rank: number): void;
}

/** A process that has come, or is about to. */
interface Newcomer {
  entry: TableEntry | null;
  stage: "expected" | "waiting" | "invited" | "admitted" | "gone";
}

/** Keeps account of the newcomers of a job. */
export class Newcomers {
  readonly #actions: NewcomerActions;
  readonly #all = new Map<number, Newcomer>();

  constructor(actions: NewcomerActions) {
    this.#actions = actions;
  }

  /** A process is about to come. */
  expect(rank: number): void {
    this.#all.set(rank, { entry: null, stage: "expected" });
  }

  /** Whether there is, or is to be, such a newcomer. */
  isExpected(rank: number): boolean {
    return this.#all.has(rank);
  }

  /** It is there. @throws TypeError if it has been before */
  knock(rank: number, message: JoinMessage): void {
    const { type: _, pid: __, onFailure: ___, ...entry } = message;
    const newcomer = this.#all.get(rank);
    if (newcomer?.stage !== "expected") throw new TypeError(`rank ${rank} joined twice`);
    newcomer.entry = entry;
    newcomer.stage = "waiting";
    this.#actions.announce({ type: "knock", rank, entry });
  }

  /** A rank is about to connect to a newcomer. */
  invite({ rank, members, newcomers }: InviteMessage): void {
    const newcomer = this.#all.get(rank);
    if (newcomer?.stage !== "waiting") return;
    newcomer.stage = "invited";
    const hosts = [...this.#actions.hosts()];
    for (const [number, { entry }] of this.#all) hosts[number] = entry?.host ?? "";
    const invited = newcomers.flatMap((number) => {
      const entry = this.#all.get(number)?.entry;
      return entry ? [[number, entry] as const] : [];
    });
    // Numbers that no process has come for are no ranks.
    const all = Array.from(hosts, (host) => host ?? "");
    this.#actions.tell(rank, { type: "invited", members, newcomers: invited, hosts: all });
  }

  /** The ranks have agreed on a newcomer. */
  welcome(message: WelcomeMessage): void {
    const { rank } = message, newcomer = this.#all.get(rank);
    if (newcomer?.stage !== "invited") return;
    newcomer.stage = "admitted";
    this.#actions.announce({ type: "knock", rank, entry: null });
    if (message.members.includes(rank)) this.#actions.admitted(rank);
    for (const [number, { entry, stage }] of this.#all) {
      if (stage === "waiting") this.#actions.tell(rank, { type: "knock", rank: number, entry });
    }
    this.#actions.tell(rank, message);
  }

  /** Nothing more comes from a rank. */
  gone(rank: number): void {
    const newcomer = this.#all.get(rank);
    if (newcomer === undefined) return;
    if (newcomer.stage !== "admitted") {
      this.#actions.announce({ type: "knock", rank, entry: null });
    }
    newcomer.stage = "gone";
  }
}
