/**
 * A handle on an operation that goes on while the program does something else (MPI 4.1, section 3.7).
 *
 * @module
 */

import { platform } from "./platform.ts";
import { EMPTY_STATUS, type Status } from "./status.ts";

/** Lets sockets and timers move once, so that a program which polls makes progress. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => platform.setTimeout(resolve, 0));
}

/** Acts once a request is complete or has failed, unless what this returns has been called before. */
let onceSettled: (request: Request, act: () => void) => () => void;

/**
 * An operation in progress. Its buffer belongs to the operation until it is complete. An error is
 * kept until `wait` or `test` asks for it.
 */
export class Request {
  readonly #done: Promise<Status>;
  #outcome: { status: Status } | { error: unknown } | null = null;
  /** What is done once it is complete. A promise's reactions could not be taken back. */
  readonly #then = new Set<() => void>();

  static {
    onceSettled = (request, act) => {
      if (request.#outcome !== null) act();
      else request.#then.add(act);
      return () => request.#then.delete(act);
    };
  }

  /**
   * Follows an operation that is under way.
   *
   * @param operation settles when the operation is complete
   */
  constructor(operation: Promise<Status | void>) {
    this.#done = operation.then((status) => status ?? EMPTY_STATUS);
    this.#done.then(
      (status) => this.#settle({ status }),
      (error) => this.#settle({ error }),
    );
  }

  #settle(outcome: { status: Status } | { error: unknown }): void {
    this.#outcome = outcome;
    for (const act of this.#then) act();
    this.#then.clear();
  }

  /** Waits until the operation is complete, and rejects if it has failed. */
  wait(): Promise<Status> {
    return this.#done;
  }

  /** The status if the operation is complete, else null after one turn of the event loop. */
  async test(): Promise<Status | null> {
    if (this.#outcome === null) await yieldToEventLoop();
    if (this.#outcome === null) return null;
    if ("error" in this.#outcome) throw this.#outcome.error;
    return this.#outcome.status;
  }
}

/**
 * Waits for all requests, and rejects with the first error in the order of the list once every one
 * has settled, so that all buffers are free again.
 */
export async function waitAll(requests: readonly Request[]): Promise<Status[]> {
  const outcomes = await Promise.allSettled(requests.map((request) => request.wait()));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}

/**
 * Waits for whichever request is complete first.
 *
 * @throws RangeError if the list is empty
 */
export async function waitAny(
  requests: readonly Request[],
): Promise<{ index: number; status: Status }> {
  if (requests.length === 0) throw new RangeError("cannot waitAny: the list of requests is empty");
  const first = Promise.withResolvers<number>();
  // A request may be waited for again and again, among others that are complete sooner: nothing of this stays with it.
  const forget = requests.map((request, index) => onceSettled(request, () => first.resolve(index)));
  const index = await first.promise;
  for (const each of forget) each();
  return { index, status: await requests[index].wait() };
}
