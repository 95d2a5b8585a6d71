/**
 * A configuration profile from its description: names become PayloadUUIDs, each payload gets its envelope, and
 * everything is judged: by the catalog, by the rules of its type, and as a whole. Pure but for the digests: the same
 * description under the same identifier is the same bytes. It signs nothing and stores nothing.
 */
import { findEntry } from '../../protocol/catalog/catalog.ts';
import type { CatalogEntry } from '../../protocol/catalog/entry.ts';
import { type JsonObject, type JsonValue, jsonToPlist, plistToJson } from '../../protocol/plist/json.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { judgeByCatalog, warnOfDeprecation } from './catalog-judgement.ts';
import {
  type BuiltPayload,
  type BuiltProfile,
  IDENTITIES_MAX,
  type InvalidProfile,
  type PayloadDraft,
  type ProfileDraft,
} from './draft.ts';
import { payloadKeys, profileKeys, writeProfile } from './envelope.ts';
import { Findings } from './findings.ts';
import { rulesOf } from './payload-rules.ts';
import { PAYLOAD, resolveReferences, type Target } from './references.ts';
import { type Fingerprint, payloadUuid, profileUuid, type Sha256Hex } from './uuid.ts';
import { warningsIn } from './warnings.ts';

export interface BuildOptions {
  readonly identifier: string;
  readonly allowUnknown: boolean;
  readonly nowMs: EpochMs;
  readonly sha256Hex: Sha256Hex;
  readonly fingerprint: Fingerprint;
}

/** Without a point: an identifier that ends in a name is that of one payload. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const ENVELOPE = [
  ...['PayloadType', 'PayloadVersion', 'PayloadIdentifier', 'PayloadUUID'],
  ...['PayloadDisplayName', 'PayloadDescription', 'PayloadOrganization'],
];
const BY_HAND = 'com.apple.declarations';
/** In the catalog beside payload types: the profile's own keys, and those of every payload. */
const NO_TYPES = ['TopLevel', 'CommonPayloadKeys'];
/** Keys of the profile itself, as the input calls them. */
const PROFILE_PATHS: Readonly<Record<string, string>> = {
  RemovalDate: 'removalDate',
  PayloadRemovalDisallowed: 'removalDisallowed',
};

interface Part extends BuiltPayload {
  readonly draft: PayloadDraft;
  readonly place: string;
}

export async function buildProfile(
  draft: ProfileDraft,
  options: BuildOptions,
): Promise<Outcome<BuiltProfile, InvalidProfile>> {
  const { identifier, nowMs, sha256Hex, fingerprint } = options;
  const found = new Findings(draft.platform ?? null, nowMs);
  const readable = normalize(draft, found);
  if (readable === null) return invalid(found);
  const parts = await partsOf(readable, options);
  judgeNames(parts, found);
  if (tooManyIdentities(parts, found)) return invalid(found);
  const targets = new Map(
    parts.map(({ name, type, payloadUuid: uuid }): [string, Target] => [name, { type, uuid }]),
  );
  const content: JsonObject[] = [];
  const entries: (CatalogEntry | null)[] = [];
  for (const part of parts) {
    const judged = await judgePart(part, targets, options, found);
    content.push(judged.content);
    entries.push(judged.entry);
  }
  judgeSingles(parts, entries, found);
  const unnamed = profileKeys(readable, { identifier, uuid: '' }, content);
  await judgeWhole(unnamed, readable, found);
  if (found.problems.length > 0) return invalid(found);
  const print = await fingerprint(identifier, writeProfile(unnamed));
  const uuid = await profileUuid(sha256Hex, identifier, print);
  return ok({
    profile: writeProfile({ ...unnamed, PayloadUUID: uuid }),
    payloadIdentifier: identifier,
    payloadUuid: uuid,
    payloads: parts.map(({ draft: _draft, place: _place, ...payload }) => payload),
    warnings: found.warnings,
  });
}

function invalid({ problems, warnings }: Findings) {
  return refuse<InvalidProfile>({ kind: 'invalid-profile', problems, warnings });
}

/** With values in the one form that a property list gives them; null when one cannot be in any. */
function normalize(draft: ProfileDraft, found: Findings): ProfileDraft | null {
  const { displayName, description = '', organization = '', payloads } = draft;
  const words = payloads.map(({ displayName = '', description = '', keys }) => ({
    displayName,
    description,
    keys,
  }));
  const read = jsonToPlist({ displayName, description, organization, payloads: words });
  if (!read.ok) {
    found.problem({
      path: read.refusal.path,
      rule: 'plist',
      expected: `a value of a property list: ${read.refusal.reason}`,
    });
    return null;
  }
  const { payloads: normal } = plistToJson(read.value) as { payloads: { keys: JsonValue }[] };
  const normalized = payloads.map((payload, index) => {
    const keys = normal[index]?.keys;
    // A dictionary that is a mark, as `{"$integer": "5"}`, stands for something else.
    if (typeof keys === 'object' && !Array.isArray(keys) && keys !== null) return { ...payload, keys };
    found.problem({ path: `payloads[${index}].keys`, rule: 'type', expected: 'a dictionary' });
    return payload;
  });
  return found.problems.length > 0 ? null : { ...draft, payloads: normalized };
}

function partsOf(draft: ProfileDraft, { identifier, sha256Hex }: BuildOptions): Promise<Part[]> {
  const parts = draft.payloads.map(async (payload, index) => ({
    name: payload.name,
    type: payload.type,
    payloadIdentifier: `${identifier}.${payload.name}`,
    payloadUuid: await payloadUuid(sha256Hex, identifier, payload.name),
    draft: payload,
    place: `payloads[${index}]`,
  }));
  return Promise.all(parts);
}

function judgeNames(parts: readonly Part[], found: Findings): void {
  const seen = new Set<string>();
  for (const { name, place } of parts) {
    const path = `${place}.name`;
    if (!NAME.test(name)) {
      const expected = '1 to 64 letters, digits, hyphens and underscores';
      found.problem({ path, rule: 'name', expected });
    }
    if (seen.has(name)) found.problem({ path, rule: 'name', expected: 'a name that no other payload has' });
    seen.add(name);
  }
}

/** Before the first is opened. */
function tooManyIdentities(parts: readonly Part[], found: Findings): boolean {
  const beyond = parts.filter(({ type }) => type === PAYLOAD.pkcs12)[IDENTITIES_MAX];
  if (beyond === undefined) return false;
  const expected = `at most ${IDENTITIES_MAX} PKCS#12 payloads in a profile`;
  found.problem({ path: `${beyond.place}.type`, rule: 'count', expected });
  return true;
}

async function judgePart(
  part: Part,
  targets: ReadonlyMap<string, Target>,
  { allowUnknown }: BuildOptions,
  all: Findings,
): Promise<{ content: JsonObject; entry: CatalogEntry | null }> {
  const { draft, place, type, payloadIdentifier: identifier, payloadUuid: uuid } = part;
  const found = all.at(`${place}.keys`);
  const before = all.problems.length;
  for (const name of ENVELOPE)
    if (Object.hasOwn(draft.keys, name))
      found.problem(name, 'reserved-key', 'no such key: the server writes it');
  if (NO_TYPES.includes(type))
    all.problem({ path: `${place}.type`, rule: 'unknown-type', expected: 'a type in the catalog' });
  if (type === BY_HAND)
    all.problem({
      path: `${place}.type`,
      rule: 'by-hand',
      expected: 'declarations: a server installs no such payload',
    });
  const rules = rulesOf(type);
  const prepared = rules?.prepare?.(draft.keys, found, uuid) ?? draft.keys;
  const entry = await findEntry('profile', type);
  const keys = resolveReferences(prepared, found, { targets, lenient: entry === null });
  const content = payloadKeys(draft, { identifier, uuid }, keys);
  const placeOf = (path: string) => (path === 'PayloadType' ? `${place}.type` : `${place}.keys.${path}`);
  await judgeByCatalog({ type, content, allowUnknown, placeOf }, all);
  if (entry !== null) warnOfDeprecation(entry, keys, found, `${place}.type`);
  // Rules read the keys that the catalog has found to be of their types.
  if (all.problems.length === before) await rules?.judge(keys, found);
  return { content, entry };
}

/** Of most types a device holds one payload (`multiple` in Apple's schema). */
function judgeSingles(
  parts: readonly Part[],
  entries: readonly (CatalogEntry | null)[],
  found: Findings,
): void {
  for (const [index, { type, place }] of parts.entries()) {
    if (parts.findIndex((part) => part.type === type) === index) continue;
    for (const platform of found.platforms) {
      const rule = entries[index]?.platforms[platform];
      if (rule === undefined || rule.multiple) continue;
      const expected = `one payload of this type on ${platform}`;
      found.problem({ path: `${place}.type`, rule: 'single', expected });
    }
  }
}

/** Where a place of the profile is in the description of it. */
function inDraft(path: string): string {
  const [, index, key] = /^PayloadContent\[(\d+)\]\.(.+)$/.exec(path) ?? [];
  if (key === undefined) return PROFILE_PATHS[path] ?? path;
  return `payloads[${index}].${key === 'PayloadType' ? 'type' : `keys.${key}`}`;
}

async function judgeWhole(profile: JsonObject, draft: ProfileDraft, found: Findings): Promise<void> {
  await judgeByCatalog({ type: 'TopLevel', content: profile, allowUnknown: false, placeOf: inDraft }, found);
  for (const warning of await warningsIn(profile)) found.warning({ ...warning, path: inDraft(warning.path) });
  if (draft.removalDate !== undefined && draft.removalDate <= found.nowMs)
    found.warning({
      path: 'removalDate',
      rule: 'expired',
      expected: 'a time to come: devices remove it at once',
    });
}
