import { OptionError } from "./kinds.ts";
import type { Options } from "./values.ts";

/** The options that name the files for TLS. */
export type TlsOptions = Pick<Options, "tlsCert" | "tlsKey" | "tlsCa">;

/** The files for TLS, or null without them. Throws OptionError unless there are all or none. */
export function tlsOf(
  options: Partial<TlsOptions>,
): { cert: string; key: string; ca: string } | null {
  const { tlsCert: cert = null, tlsKey: key = null, tlsCa: ca = null } = options;
  if (cert !== null && key !== null && ca !== null) return { cert, key, ca };
  if (cert === null && key === null && ca === null) return null;
  throw new OptionError("TLS needs all of --tls-cert, --tls-key and --tls-ca, or none of them");
}
