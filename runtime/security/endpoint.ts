/**
 * Where a rank can be reached, and how connections are made: TCP, TCP under TLS, TCP through a gateway, and
 * Unix sockets between ranks of one host.
 *
 * @module
 */

import { isIPv4, isIPv6 } from "node:net";
import { platform } from "../base/platform.ts";

/** An address to dial. */
export type Endpoint =
  | { readonly kind: "tcp" | "gateway"; readonly hostname: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** PEM texts for TLS (RFC 8446). */
export interface TlsMaterial {
  /** Certificate chain of this host, shown to those who dial it. */
  readonly cert: string;
  /** Private key of that certificate. */
  readonly key: string;
  /** Certificate of the authority that signed the certificates of all hosts. */
  readonly ca: string;
  /** The name that all certificates are for. @default {the one that is dialled} */
  readonly name?: string;
}

/** Longest path of a Unix socket that every system takes, in bytes (sun_path on macOS: 104). */
export const LONGEST_SOCKET_PATH = 103;

/** Whether a path is short enough for a Unix socket. */
export function fitsSocket(path: string): boolean {
  return new TextEncoder().encode(path).length <= LONGEST_SOCKET_PATH;
}

/** An endpoint in words. */
export function describeEndpoint(endpoint: Endpoint): string {
  return endpoint.kind === "unix" ? endpoint.path : formatAddress(endpoint.hostname, endpoint.port);
}

/** What a connection failed with, in words; a lack of file descriptors with what to do. */
export function describeConnectionError(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error))
    // What rustls adds for those who program with it.
    .replace(/: https:\/\/docs\.rs\/rustls\S*/, "");
  return /\(os error (24|23)\)/.test(message) && Deno.build.os !== "windows"
    ? `${message}: raise the limit of file descriptors (ulimit -n), a rank takes one for each other rank`
    : message;
}

/** `host:port`, with an IPv6 address in brackets (RFC 3986, section 3.2.2). */
export function formatAddress(hostname: string, port: number): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/**
 * Reads `host:port` or `[IPv6]:port`.
 *
 * @throws RangeError if the text is neither, or nobody can listen there
 */
export function parseAddress(text: string): { hostname: string; port: number } {
  const match = /^(?:\[([^\[\]\s]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  if (match === null) {
    throw new RangeError(`an address is host:port or [IPv6 address]:port, not ${quote(text)}`);
  }
  const [, inBrackets, plain, digits] = match, port = Number(digits);
  if (port < 1 || port > 65535) {
    throw new RangeError(
      `the port of an address is from 1 to 65535, not ${port} as in ${quote(text)}`,
    );
  }
  if (inBrackets === undefined ? isNamed(plain) : isScopedIPv6(inBrackets)) {
    return { hostname: inBrackets ?? plain, port };
  }
  throw new RangeError(`no host has the name or address in ${quote(text)}`);
}

/** Whether a text can be a host's name or address. */
export function isHost(text: string): boolean {
  return text.includes(":") ? isScopedIPv6(text) : isNamed(text);
}

function isNamed(text: string): boolean {
  return /^[\d.]+$/.test(text) ? isIPv4(text) : /^[\p{L}\p{N}_.-]{1,253}$/u.test(text);
}

function isScopedIPv6(text: string): boolean {
  return isIPv6(text.replace(/%[\w.-]+$/, ""));
}

const quote = (text: string) => JSON.stringify(text.slice(0, 300));

/**
 * A link-local IPv6 address with the scope of another: such an address holds on one interface of this
 * host alone, and each host has names of its own for these (RFC 4007). Other addresses are returned as
 * they are.
 *
 * @param from an address that this host has used, such as `fe80::1%eth0`
 */
export function withScope(hostname: string, from: string): string {
  const scope = /^fe80:[^%]*(%.+)$/i.exec(from)?.[1];
  return scope !== undefined && /^fe80:/i.test(hostname)
    ? hostname.replace(/%.*$/, "") + scope
    : hostname;
}

/** Whether a host name or address can only be this very host. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** Listens; a Unix socket's path must not exist yet. */
export function listenAt(endpoint: Endpoint, tls?: TlsMaterial): Deno.Listener {
  if (endpoint.kind === "unix") return platform.listen({ transport: "unix", path: endpoint.path });
  const { hostname, port } = endpoint;
  return tls === undefined
    ? platform.listen({ hostname, port })
    : Deno.listenTls({ hostname, port, cert: tls.cert, key: tls.key });
}

/**
 * Listens on one port at all of these addresses, which others know this host by: at that address if
 * there is one of this host's own, else at all of its kind.
 */
export function listenAtAll(
  hostnames: readonly string[],
  port: number,
  tls?: TlsMaterial,
): Deno.Listener {
  if (hostnames.length === 1) return listenAtKnown(hostnames[0], port, tls);
  const hostname = hostnames.some((hostname) => hostname.includes(":")) ? "::" : "0.0.0.0";
  return listenAt({ kind: "tcp", hostname, port }, tls);
}

/**
 * Listens on the address that others know this host by, or, where that is not an address of its own
 * (a service's, or one that a router translates), on all of its kind.
 */
export function listenAtKnown(hostname: string, port: number, tls?: TlsMaterial): Deno.Listener {
  try {
    return listenAt({ kind: "tcp", hostname, port }, tls);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrNotAvailable)) throw error;
    return listenAt(
      { kind: "tcp", hostname: hostname.includes(":") ? "::" : "0.0.0.0", port },
      tls,
    );
  }
}

/** How a connection is made. */
export interface DialSettings {
  /** Passes a gateway on the way, before TLS begins. @default {there is none} */
  readonly enter?: ((connection: Deno.Conn) => Promise<void>) | undefined;
  /** Gives up. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects; under TLS the listener's certificate must be for `tls.name`, or without that for `hostname`,
 * and signed by `tls.ca`.
 */
export async function dial(
  endpoint: Endpoint,
  tls?: TlsMaterial,
  { enter, signal }: DialSettings = {},
): Promise<Deno.Conn> {
  if (endpoint.kind === "unix") {
    return await platform.connect({ transport: "unix", path: endpoint.path });
  }
  const { hostname, port } = endpoint;
  const connection = await platform.connect({ hostname, port, signal });
  const cut = () => {
    try {
      connection.close();
    } catch {
      // TLS has taken it over.
    }
  };
  signal?.addEventListener("abort", cut);
  try {
    connection.setNoDelay(true);
    await enter?.(connection);
    if (tls === undefined) return connection;
    return await Deno.startTls(connection, { hostname: tls.name ?? hostname, caCerts: [tls.ca] });
  } catch (error) {
    cut();
    throw error;
  } finally {
    signal?.removeEventListener("abort", cut);
  }
}
