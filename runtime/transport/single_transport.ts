/**
 * The transport of a job of one rank: nobody to send to.
 *
 * @module
 */

import type { FailureReport, FrameSink, Transport } from "./transport.ts";
import { platform } from "../base/platform.ts";

/** A world of one rank, such as a program that nobody launched. */
export class SingleTransport implements Transport {
  readonly rank = 0;
  readonly size = 1;
  readonly hosts: readonly string[];
  readonly timeoutMs = Infinity;
  readonly traffic = { sent: 0, received: 0 };

  constructor(host: string) {
    this.hosts = [host];
  }

  start(_sink: FrameSink): void {}

  send(peer: number, _header: Uint8Array, _payload?: Uint8Array): Promise<void> {
    return Promise.reject(new RangeError(`there is no rank ${peer} in a job of one rank`));
  }

  expecting(_peer: number): Disposable {
    return { [Symbol.dispose]() {} };
  }

  report(_failure: FailureReport): Promise<void> {
    return Promise.resolve();
  }

  abort(code: number, message: string): Promise<never> {
    console.error(message);
    platform.exit(code);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
