/**
 * An answer becomes items of the inventory, by key. As far as possible: what has no key, or another form than Apple's
 * schema says, is left out, and the answer itself stays in the command's history as it came.
 *
 * Kept back: data of any kind but for its size and digest, configurations of applications, redemption codes, and the
 * attestation, which is evidence and no fact.
 */
import { CERTIFICATE_BYTES_MAX, parseCertificate } from '../../pki/certificate.ts';
import { sha256Hex } from '../../pki/digest.ts';
import { nameText } from '../../pki/name.ts';
import { type JsonObject, type JsonValue, plistToJson } from '../../protocol/plist/json.ts';
import { parsePlistDict } from '../../protocol/plist/parse.ts';
import { isDict, type PlistDict, type PlistValue, RESULT_LIMITS } from '../../protocol/plist/value.ts';
import { type Bytes, toHex, utf8 } from '../../std/bytes.ts';
import { type InventorySection, sectionOf } from './section.ts';

/** Of JSON. 2,500 installed applications have some 600 KiB; a row of D1 holds 2 MB. */
export const SECTION_BYTES_MAX = 1024 * 1024;
/** Each item is stored with its time. */
const ITEM_TIME_BYTES = 16;
/** Of data values that are told by digest; of those beyond, and there is no such answer, only the size is. */
const DIGESTS_MAX = 1024;

export interface InventoryAnswer {
  readonly section: InventorySection;
  /** By key; null when all of it is more than a section holds. */
  readonly items: ReadonlyMap<string, JsonValue> | null;
}

type Items = readonly (readonly [string, PlistValue])[];

/** Null when there is nothing to learn: another kind of command, or an answer that cannot be read. */
export async function readInventory(requestType: string, raw: Bytes): Promise<InventoryAnswer | null> {
  const section = sectionOf(requestType);
  if (section === null) return null;
  const answer = parsePlistDict(raw, RESULT_LIMITS);
  const found = answer.ok ? itemsOf(section, answer.value) : null;
  if (found === null) return null;
  const digests = new Digests();
  const items = new Map<string, JsonValue>();
  if (section === 'certificates') for (const item of await certificates(found)) items.set(...item);
  else for (const [key, value] of found) items.set(key, digests.json(value));
  await digests.settle();
  const bytes = utf8(JSON.stringify([...items])).length + items.size * ITEM_TIME_BYTES;
  return { section, items: bytes > SECTION_BYTES_MAX ? null : items };
}

/** Null when the answer has not what the section is made of. */
function itemsOf(section: InventorySection, answer: PlistDict): Items | null {
  switch (section) {
    case 'device':
      return without(dict(answer, 'QueryResponses'), 'DevicePropertiesAttestation');
    case 'security':
      return without(dict(answer, 'SecurityInfo'));
    case 'profiles':
      return keyed(answer, 'ProfileList', 'PayloadIdentifier');
    case 'provisioning-profiles':
      return keyed(answer, 'ProvisioningProfileList', 'UUID');
    case 'certificates':
      return keyed(answer, 'CertificateList', null);
    case 'installed-applications':
      return keyed(answer, 'InstalledApplicationList', 'Identifier');
    case 'managed-applications': {
      const list = without(dict(answer, 'ManagedApplicationList'));
      const open = (value: PlistValue) => (isDict(value) ? drop(value, 'UnusedRedemptionCode') : value);
      return list?.map(([key, value]) => [key, open(value)] as const) ?? null;
    }
    case 'application-attributes':
      return keyed(answer, 'ApplicationAttributes', 'Identifier');
    case 'application-configurations': {
      const list = keyed(answer, 'ApplicationConfigurations', 'Identifier');
      return list?.map(([key, value]) => [key, hasConfiguration(value)] as const) ?? null;
    }
    case 'restrictions': {
      const known = ['GlobalRestrictions', 'ProfileRestrictions'];
      const told = [...answer].filter(([key]) => known.includes(key));
      return told.length === 0 ? null : told;
    }
    default:
      return section satisfies never;
  }
}

function dict(answer: PlistDict, key: string): PlistDict | null {
  const value = answer.get(key);
  return isDict(value) ? value : null;
}

function without(value: PlistDict | null, key = ''): Items | null {
  return value === null ? null : [...drop(value, key)];
}

function drop(value: PlistDict, key: string): PlistDict {
  return new Map([...value].filter(([own]) => own !== key));
}

/** Without a key, by place. Of two with one key the later counts. */
function keyed(answer: PlistDict, list: string, key: string | null): Items | null {
  const value = answer.get(list);
  if (!Array.isArray(value)) return null;
  return value.flatMap((item, index): Items => {
    const name = key === null ? String(index) : isDict(item) ? item.get(key) : undefined;
    return typeof name === 'string' && name !== '' ? [[name, item]] : [];
  });
}

/** Any value of a configuration may be a secret, and any key tell of one. */
function hasConfiguration(value: PlistValue): PlistValue {
  const configuration = isDict(value) ? value.get('Configuration') : undefined;
  return new Map([['HasConfiguration', isDict(configuration) && configuration.size > 0]]);
}

/** By digest of the DER, which is not kept. */
async function certificates(found: Items): Promise<[string, JsonValue][]> {
  const items: [string, JsonValue][] = [];
  for (const [, item] of found) {
    const data = isDict(item) ? item.get('Data') : undefined;
    if (!isDict(item) || !(data instanceof Uint8Array)) continue;
    const [commonName, isIdentity] = [item.get('CommonName'), item.get('IsIdentity')];
    const told = {
      commonName: typeof commonName === 'string' ? commonName : null,
      isIdentity: isIdentity === true,
    };
    items.push([await sha256Hex(data), { ...told, ...certificateFacts(data) }]);
  }
  return items;
}

function certificateFacts(der: Bytes): JsonObject {
  const parsed = der.length > CERTIFICATE_BYTES_MAX ? null : parseCertificate(der);
  if (parsed === null || !parsed.ok) return { readable: false };
  const { subject, issuer, serialNumber, notBeforeMs, notAfterMs } = parsed.value;
  return {
    readable: true,
    subject: nameText(subject),
    issuer: nameText(issuer),
    serialNumber: toHex(serialNumber),
    notBefore: new Date(notBeforeMs).toISOString(),
    notAfter: new Date(notAfterMs).toISOString(),
  };
}

/** JSON in the form of a command's result, but with `{"bytes","sha256"}` in place of data. */
class Digests {
  readonly #open: { readonly data: Bytes; readonly into: JsonObject }[] = [];

  json(value: PlistValue): JsonValue {
    if (value instanceof Uint8Array) return this.#described(value);
    if (Array.isArray(value)) return value.map((item) => this.json(item));
    if (isDict(value)) return Object.fromEntries([...value].map(([key, item]) => [key, this.json(item)]));
    return plistToJson(value);
  }

  /** Digests are made asynchronously; walking the answer is not. */
  async settle(): Promise<void> {
    for (const { data, into } of this.#open) into['sha256'] = await sha256Hex(data);
  }

  #described(data: Bytes): JsonObject {
    const into: JsonObject = { bytes: data.length };
    if (this.#open.length < DIGESTS_MAX) this.#open.push({ data, into });
    return into;
  }
}
