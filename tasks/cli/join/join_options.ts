/** The options of `join`, by their names in code. */

import { GROUPS, integer, type OptionSpec, text, toggle } from "../../options/kinds.ts";

/** Values of the options of `join`. */
export interface JoinOptions {
  /** Ranks of this host. */
  ranks: number;
  /** File with the invitation; null: CELGC_INVITATION, or what is asked for. */
  invitation: string | null;
  /** Whether the invitation is the first line of standard input, whose end ends this host's ranks. */
  stdinInvitation: boolean;
  /** This host's place in the order of hosts, as the coordinator has given it; null: that of arrival. */
  seat: number | null;
  /** Address, network or card of this host at which others reach its ranks; null: the nearest to them. */
  listen: string | null;
  /** Port of the first rank, the others take those that follow; null: any. */
  port: number | null;
  /** This host's folder of the data set; null: the same path as at the coordinator. */
  data: string | null;
  /** Folder for logs and what a run with `--checkpoint-local` leaves here; null: `runs/<its id>`. */
  out: string | null;
  /** Whether nothing but errors is printed. */
  quiet: boolean;
}

/** The options of `join`. */
export const JOIN: { readonly [Name in keyof JoinOptions]: OptionSpec<JoinOptions[Name]> } = {
  ranks: integer({
    flag: "--ranks",
    group: GROUPS.WHO,
    help: "processes of this host",
    unit: "processes",
    from: 1,
    to: 1024,
    default: 1,
  }),
  invitation: text({
    flag: "--invitation",
    group: GROUPS.HOSTS,
    help: "file with the invitation that launch --world or --elastic has written, of mode 0600",
    default: null,
    defaultText: "$CELGC_INVITATION, or it is asked for",
    placeholder: "file",
  }),
  stdinInvitation: toggle({
    flag: "--stdin-invitation",
    group: GROUPS.HOSTS,
    help: "the invitation is the first line of standard input, whose end ends the ranks",
  }),
  seat: integer({
    flag: "--seat",
    group: GROUPS.HOSTS,
    help: "place of this host among those that launch --hosts has named",
    from: 0,
    default: null,
    defaultText: "in order of arrival",
  }),
  listen: text({
    flag: "--listen",
    group: GROUPS.HOSTS,
    help:
      "address, network (10.0.0.0/8) or card (eth0) of this host at which others reach its ranks",
    default: null,
    defaultText: "the nearest to the coordinator",
    placeholder: "address",
  }),
  port: integer({
    flag: "--port",
    group: GROUPS.HOSTS,
    help: "the one port at which other hosts reach the ranks of this one",
    from: 1,
    to: 65535,
    default: null,
    defaultText: "any, and one for each rank",
  }),
  data: text({
    flag: "--data",
    group: GROUPS.DATA,
    help: "folder of this host's data set, whose files must be the coordinator's",
    default: null,
    defaultText: "the same path as there",
    placeholder: "dir",
  }),
  out: text({
    flag: "--out",
    group: GROUPS.RUN,
    help:
      "folder for what stays on this host: its ranks' logs, and with --checkpoint-local their " +
      "parts of checkpoints; a program's ranks log there only if it is given",
    default: null,
    defaultText: "runs/<the run's id>",
    placeholder: "dir",
  }),
  quiet: toggle({ flag: "--quiet", group: GROUPS.RUN, help: "print nothing but errors" }),
};
