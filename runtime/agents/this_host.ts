/**
 * What a launcher knows of the host that it runs on.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { isLoopback } from "../security/endpoint.ts";

/** A host, as its launcher describes it. */
export interface HostFacts {
  /** Its name, for messages. */
  readonly name: string;
  /** The same for all processes that can share memory and sockets, and for no others. */
  readonly identity: string;
}

/** This host's name in messages: CELGC_HOST, or what the system says. */
export function hostName(): string {
  try {
    return Deno.env.get("CELGC_HOST") || Deno.hostname();
  } catch {
    return "localhost";
  }
}

/**
 * This host. Two hosts may have the same name, and one may be several, as containers and network
 * namespaces make it: they share no loopback address. So what tells hosts apart is the kernel's run and
 * the network it shows to this process.
 */
export function thisHost(): HostFacts {
  const name = hostName(), given = Deno.env.get("CELGC_HOST");
  const marks: string[] = given ? [given] : [
    read(() => Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim()),
    read(() => Deno.readLinkSync("/proc/self/ns/net")),
  ];
  // Elsewhere than on Linux the cards' addresses do.
  if (marks.join("") === "") {
    marks.push(
      name,
      ...Deno.networkInterfaces().map(({ mac, address }) => `${mac} ${address}`).sort(),
    );
  }
  const identity = createHash("sha256").update(JSON.stringify(marks)).digest("hex").slice(0, 32);
  return { name, identity };
}

function read(get: () => string): string {
  try {
    return get();
  } catch {
    return "";
  }
}

/** Addresses of this host that others may reach, the most likely first: IPv4, IPv6; none that is scoped. */
export function ownAddresses(): string[] {
  const found = Deno.networkInterfaces().filter(({ address }) =>
    !isLoopback(address) && !/^fe80:/i.test(address)
  );
  const of = (family: string) => found.filter((one) => one.family === family);
  return [...new Set([...of("IPv4"), ...of("IPv6")].map(({ address }) => address))];
}

/**
 * Addresses of this host that the user has named: an address or a name itself, those in a network
 * (`10.0.0.0/8`), or those of a network card (`eth0`).
 *
 * @throws RangeError if this host has none such
 */
export function addressesOf(listen: string): string[] {
  const interfaces = Deno.networkInterfaces();
  const network = /^(\d+\.\d+\.\d+\.\d+)\/(\d+)$/.exec(listen);
  const card = interfaces.filter(({ name }) => name === listen);
  if (network === null && card.length === 0) return [listen];
  const found = network === null
    ? card.filter(({ address }) => !/^fe80:/i.test(address))
    : interfaces.filter(({ address, family }) =>
      family === "IPv4" && inNetwork(address, network[1], Number(network[2]))
    );
  if (found.length > 0) {
    return [...new Set(found.map(({ address }) => address))]
      .sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
  }
  const all = ownAddresses().join(", ");
  throw new RangeError(
    `this host has no address in ${listen}; it has ${all || "none but loopback addresses"}`,
  );
}

function inNetwork(address: string, network: string, bits: number): boolean {
  const number = (text: string) =>
    text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - bits);
  return Math.floor(number(address) / size) === Math.floor(number(network) / size);
}
