/**
 * Certificates for one job: an authority that lives as long as the job does, and one certificate under it
 * that all hosts of the job show. They are for a fixed name, so that a host's addresses need not be known.
 *
 * Who holds the job's secret belongs to the job, so an authority may also follow from the secret: those who
 * share nothing else can then each make a certificate that the others trust.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createECDH, hkdfSync } from "node:crypto";
import { loadX509 } from "../../deps.ts";
import type { TlsMaterial } from "./endpoint.ts";

/** The name that a job's certificates are for: one that no host can have (RFC 2606). */
export const CERTIFICATE_NAME = "job.celgc.invalid";

/** ECDSA on the curve P-256, which every implementation of TLS 1.3 has (RFC 8446, section 9.1). */
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

const HOUR_MS = 3_600_000;
/** How far the clocks of two hosts may differ, in ms. */
const SKEW_MS = 24 * HOUR_MS;
/** How long certificates are valid, in ms. Connections that exist do not end with them. */
const VALID_MS = 30 * 24 * HOUR_MS;

/** How to make a job's certificates. */
export interface CertificateOptions {
  /** 32 bytes from which the authority's key follows. @default {a random key} */
  readonly secret?: Uint8Array;
  /** When the certificates end. @default {in 30 days} */
  readonly notAfter?: Date;
}

/** Makes an authority and a certificate under it; takes 0.1 to 0.3 s, most of it for loading code. */
export async function makeCertificate(options: CertificateOptions = {}): Promise<TlsMaterial> {
  const x509 = await loadX509();
  x509.cryptoProvider.set(crypto);
  const authority = options.secret === undefined ? await newKeys() : await keysFrom(options.secret);
  const leaf = await newKeys();
  const notAfter = options.notAfter ?? new Date(Date.now() + VALID_MS);
  const notBefore = new Date(Math.min(Date.now(), notAfter.getTime()) - SKEW_MS);
  const dates = { notBefore, notAfter, signingAlgorithm: ALGORITHM };
  const { KeyUsageFlags } = x509, issuer = "CN=celgc job authority";
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...dates,
    name: issuer,
    serialNumber: serialNumber(),
    keys: authority,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  });
  const cert = await x509.X509CertificateGenerator.create({
    ...dates,
    subject: `CN=${CERTIFICATE_NAME}`,
    issuer,
    serialNumber: serialNumber(),
    publicKey: leaf.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: CERTIFICATE_NAME }]),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", leaf.privateKey);
  return {
    cert: cert.toString("pem"),
    key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
    ca: ca.toString("pem"),
    name: CERTIFICATE_NAME,
  };
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

/** A pair of keys that follows from a secret (HKDF, RFC 5869): the same wherever it is known. */
async function keysFrom(secret: Uint8Array): Promise<CryptoKeyPair> {
  const ecdh = createECDH("prime256v1");
  // One number in 2³² is no private key of this curve.
  for (let attempt = 0;; attempt++) {
    const bytes = Buffer.from(
      hkdfSync("sha256", secret, new Uint8Array(), `celgc job authority ${attempt}`, 32),
    );
    try {
      ecdh.setPrivateKey(bytes);
    } catch {
      continue;
    }
    const point = ecdh.getPublicKey(); // 4, x, y
    const base64url = (part: Uint8Array) => Buffer.from(part).toString("base64url");
    const shared = {
      kty: "EC",
      crv: "P-256",
      x: base64url(point.subarray(1, 33)),
      y: base64url(point.subarray(33)),
    };
    const load = (jwk: JsonWebKey, usage: KeyUsage) =>
      crypto.subtle.importKey("jwk", jwk, ALGORITHM, true, [usage]);
    return {
      privateKey: await load({ ...shared, d: base64url(bytes) }, "sign"),
      publicKey: await load(shared, "verify"),
    };
  }
}

/** A random positive number of 16 bytes, in hexadecimal digits (RFC 5280, section 4.1.2.2). */
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = bytes[0] & 0x7f | 0x40;
  return bytes.toHex();
}
