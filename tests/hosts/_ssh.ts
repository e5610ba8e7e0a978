/** OpenSSH between hosts of a test: a server on each, and one key that all of them let in. */

import { hasTool, type Host, type Hosts, type Running } from "./_hosts.ts";

/** Why there is no ssh here; null if there is. */
export const noSsh: string | null = await hasTool("sshd") && await hasTool("ssh")
  ? null
  : "openssh-server is not installed";

/** How to get from one host to another. */
export interface Ssh {
  /** Put first in PATH, this folder's `ssh` is the one that knows the key and the hosts. */
  readonly folder: string;
  /** That `ssh`. */
  readonly command: string;
  /** The servers' processes. */
  readonly pids: readonly number[];
  /** What the server of a host has said. */
  log(host: Host): string;
}

/** Starts a server on each host; they end with the hosts. */
export async function startSsh(hosts: Hosts, folder: string): Promise<Ssh> {
  await Deno.mkdir("/run/sshd", { recursive: true }); // where a server shuts itself in
  await makeKey(`${folder}/user_key`);
  // Who has come by ssh goes on by the same ssh.
  const path = `PATH=${folder}/bin:${Deno.env.get("PATH")}`, cache = Deno.env.get("DENO_DIR");
  const kept = [path, ...cache === undefined ? [] : [`DENO_DIR=${cache}`]];
  const servers = new Map<Host, Running>(), known: string[] = [];
  for (const host of hosts.all) {
    const key = `${folder}/${host.name}_key`, config = `${folder}/${host.name}_sshd`;
    const [kind, bytes] = (await makeKey(key)).split(" ");
    known.push(`${host.name},${host.address},${host.address6} ${kind} ${bytes}`);
    await Deno.writeTextFile(
      config,
      [
        ...[`ListenAddress ${host.address}`, `ListenAddress ${host.address6}`, `HostKey ${key}`],
        ...["PidFile none", `AuthorizedKeysFile ${folder}/user_key.pub`, "StrictModes no"],
        ...["PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no"],
        ...["PermitRootLogin prohibit-password", "PrintMotd no", `SetEnv ${kept.join(" ")}`],
      ].join("\n") + "\n",
    );
    const limitMs = 600_000, command = ["/usr/sbin/sshd", "-D", "-e", "-f", config];
    servers.set(host, host.start(command, { limitMs }));
  }
  await Deno.writeTextFile(`${folder}/known_hosts`, known.join("\n") + "\n");
  const client = [
    ...[`IdentityFile ${folder}/user_key`, "IdentitiesOnly yes", "User root"],
    ...[`UserKnownHostsFile ${folder}/known_hosts`, "GlobalKnownHostsFile /dev/null"],
    ...["StrictHostKeyChecking yes", "ConnectTimeout 10"],
  ];
  await Deno.writeTextFile(`${folder}/ssh_config`, client.join("\n") + "\n");
  const command = `${folder}/bin/ssh`;
  await Deno.mkdir(`${folder}/bin`);
  const script = `#!/bin/sh\nexec /usr/bin/ssh -F ${folder}/ssh_config "$@"\n`;
  await Deno.writeTextFile(command, script, { mode: 0o755 });
  for (const server of servers.values()) await server.printed(/listening on/i);
  return {
    folder: `${folder}/bin`,
    command,
    pids: [...servers.values()].map(({ pid }) => pid),
    log: (host) => servers.get(host)!.text(),
  };
}

/** Makes a key; its public half. */
async function makeKey(path: string): Promise<string> {
  const args = ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path];
  const { success } = await new Deno.Command("ssh-keygen", { args }).output();
  if (!success) throw new Error(`ssh-keygen could not write ${path}`);
  return (await Deno.readTextFile(`${path}.pub`)).trim();
}
