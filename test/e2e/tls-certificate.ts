import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** A certificate that signs itself, in PEM. */
export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length =
    body.length < 0x80
      ? Buffer.from([body.length])
      : body.length < 0x100
        ? Buffer.from([0x81, body.length])
        : Buffer.from([0x82, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), length, body]);
}

const sequence = (...parts: readonly Buffer[]) => der(0x30, ...parts);
const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
const text = (value: string) => der(0x0c, Buffer.from(value));
const time = (date: Date) => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\..*/g, "")}Z`));

const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));

function nameOf(common: string): Buffer {
  return sequence(der(0x31, sequence(oid("550403"), text(common))));
}

/** SubjectAltName of one DNS name, and basicConstraints CA so that it may stand in a list of roots. */
function extensions(host: string): Buffer {
  const alternative = sequence(oid("551d11"), der(0x04, sequence(der(0x82, Buffer.from(host)))));
  const constraints = sequence(oid("551d13"), der(0x04, sequence(der(0x01, Buffer.from([0xff])))));
  return der(0xa3, sequence(alternative, constraints));
}

/** Written by hand in DER: the tests must run where there is no openssl program, and Node makes no certificates. */
export function selfSigned(host: string): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const day = 86_400_000;
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(host),
    sequence(time(new Date(Date.now() - day)), time(new Date(Date.now() + day))),
    nameOf(host),
    publicKey.export({ type: "spki", format: "der" }),
    extensions(host),
  );
  const certificate = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), sign("sha256", body, privateKey)));
  return { cert: pem(certificate), key: keyPem(privateKey) };
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function keyPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}
