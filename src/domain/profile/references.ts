/**
 * References between the payloads of one profile. On the wire they are PayloadUUIDs; in the input each is the name of
 * the payload that is meant. Apple's names tell which keys they are and what they take, in every payload type:
 * `…CertificateUUID` an identity, `…CertificateAnchorUUID` and `…PinningCertificateUUIDs` certificates.
 */
import type { JsonObject, JsonValue } from '../../protocol/plist/json.ts';
import type { PlacedFindings } from './findings.ts';

export const PAYLOAD = {
  root: 'com.apple.security.root',
  pkcs1: 'com.apple.security.pkcs1',
  pem: 'com.apple.security.pem',
  pkcs12: 'com.apple.security.pkcs12',
  scep: 'com.apple.security.scep',
  acme: 'com.apple.security.acme',
} as const;

interface Kind {
  readonly key: RegExp;
  readonly types: readonly string[];
  readonly expected: string;
}

const IDENTITY: Kind = {
  key: /CertificateUUID$/,
  types: [PAYLOAD.scep, PAYLOAD.acme, PAYLOAD.pkcs12],
  expected: 'the name of a SCEP, ACME or PKCS#12 payload of this profile',
};
const CERTIFICATE: Kind = {
  key: /CertificateAnchorUUID$|PinningCertificateUUIDs$/,
  types: [PAYLOAD.root, PAYLOAD.pkcs1, PAYLOAD.pem],
  expected: 'the name of a certificate payload of this profile (root, pkcs1, pem)',
};

export interface Target {
  readonly type: string;
  readonly uuid: string;
}

export interface ReferenceOptions {
  /** The payloads of the profile by name. */
  readonly targets: ReadonlyMap<string, Target>;
  /** Of a type that is not in the catalog: what names nothing here may be something else. */
  readonly lenient: boolean;
}

/** The keys with every name replaced; a problem at each that names nothing, or the wrong kind. */
export function resolveReferences(
  keys: JsonObject,
  found: PlacedFindings,
  options: ReferenceOptions,
): JsonObject {
  const inside = (value: JsonValue, path: string): JsonValue => {
    if (Array.isArray(value)) return value.map((item, index) => inside(item, `${path}[${index}]`));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => {
        const at = path === '' ? name : `${path}.${name}`;
        const kind = [IDENTITY, CERTIFICATE].find(({ key }) => key.test(name));
        return [name, kind === undefined ? inside(member, at) : named(kind, member, at)];
      }),
    );
  };
  const named = (kind: Kind, value: JsonValue, path: string): JsonValue => {
    if (Array.isArray(value)) return value.map((item, index) => named(kind, item, `${path}[${index}]`));
    // What is no text has no type that the catalog takes.
    if (typeof value !== 'string') return value;
    const target = options.targets.get(value);
    if (target === undefined && options.lenient) return value;
    if (target === undefined || !kind.types.includes(target.type)) {
      found.problem(path, 'reference', kind.expected);
      return value;
    }
    return target.uuid;
  };
  return inside(keys, '') as JsonObject;
}
