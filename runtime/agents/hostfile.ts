/**
 * Lists of hosts: `a:4,b:4`, and the hostfiles of Open MPI
 * (<https://docs.open-mpi.org/en/main/launching-apps/scheduling.html>).
 *
 * @module
 */

/** A host, and how many ranks it takes. */
export interface HostSlots {
  /** As ssh takes it: a name, an address, `user@name`. */
  readonly name: string;
  readonly slots: number;
}

/** Most ranks of one host. */
const MOST_SLOTS = 65536;

/**
 * Reads a list such as `a:4,b:4`. A host without a number takes one rank; one that is there twice takes
 * the sum. An IPv6 address stands in brackets: `[fd00::1]:4`.
 *
 * @throws RangeError if it is none
 */
export function parseHosts(text: string): HostSlots[] {
  return merge(
    text.split(",").map((part) => {
      const match = /^((?:[\w.-]+@)?(?:\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[\w.-]+))(?::(\d+))?$/
        .exec(part.trim());
      if (match === null) {
        throw new RangeError(
          `--hosts takes host:ranks, separated by commas, such as a:4,b:4, not ${
            JSON.stringify(part)
          }`,
        );
      }
      return { name: checkName(match[1]), slots: slots(match[2] ?? "1", `--hosts ${part.trim()}`) };
    }),
  );
}

/**
 * Reads a hostfile of Open MPI's: a host a line, `slots=4`, `max_slots=…` (or `max-slots`), comments
 * behind `#`. Of a host that has no slots named, each line is one slot.
 *
 * @throws RangeError naming the line that cannot be read
 */
export function parseHostfile(text: string): HostSlots[] {
  const hosts: HostSlots[] = [];
  for (const [i, raw] of text.split("\n").entries()) {
    const [name, ...settings] = raw.replace(/#.*/, "").trim().split(/\s+(?!=)(?<!=\s*)/);
    if (name === "") continue;
    const refuse = (what: string): never => {
      throw new RangeError(
        `line ${
          i + 1
        } of the hostfile: ${what}; a line is a host, then slots=n if it takes more ranks ` +
          "than one",
      );
    };
    let taken = 1, most = MOST_SLOTS, user = "";
    for (const setting of settings) {
      const match = /^([\w-]+)\s*=\s*(\S+)$/.exec(setting);
      const key = match?.[1].replaceAll("-", "_");
      if (key === "slots") taken = slots(match![2], JSON.stringify(setting));
      else if (key === "max_slots") most = slots(match![2], JSON.stringify(setting));
      else if (key === "user" || key === "username") user = `${match![2]}@`;
      else refuse(`${JSON.stringify(setting)} is not understood`);
    }
    if (!/^(?:[\w.-]+@)?[\w.:%-]+$/.test(name)) refuse(`${JSON.stringify(name)} is no host`);
    if (taken > most) refuse(`slots=${taken} is more than max_slots=${most}`);
    hosts.push({ name: checkName(user + name), slots: taken });
  }
  if (hosts.length === 0) throw new RangeError("the hostfile names no host");
  return merge(hosts);
}

function slots(text: string, where: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= MOST_SLOTS) return value;
  throw new RangeError(
    `a host takes 1 to ${MOST_SLOTS} ranks, not ${JSON.stringify(text)}, in ${where}`,
  );
}

/** What ssh would take for an option is no host. */
function checkName(name: string): string {
  if (!name.startsWith("-")) return name.replace(/\[(.*)\]/, "$1");
  throw new RangeError(`a host's name does not begin with "-": ${JSON.stringify(name)}`);
}

function merge(hosts: readonly HostSlots[]): HostSlots[] {
  const sums = new Map<string, number>();
  for (const { name, slots } of hosts) sums.set(name, (sums.get(name) ?? 0) + slots);
  return [...sums].map(([name, slots]) => ({ name, slots }));
}
