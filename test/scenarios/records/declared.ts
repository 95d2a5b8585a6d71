/**
 * Activations, configurations, assets with their data, management declarations: stored by the admin API with every key,
 * refused with any one fault, delivered to the watch in one set, judged by it, and shown as it judged them.
 */

import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { listEntries } from '../../../src/protocol/catalog/catalog.ts';
import type { CatalogKind } from '../../../src/protocol/catalog/entry.ts';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';
import { writePlist } from '../../simulator/index.ts';
import { admin, type Json } from '../../support/front-door.ts';
import { settle } from '../../support/invariants.ts';
import { type Precondition, putDeclaration } from '../../support/put-declaration.ts';
import { checkedAndRefused, faultsIn, wholeOf } from './content.ts';
import { FILES, type Story } from './story.ts';

export const PREFIX = 'com.example';
/** The server's own, such as the default subscriptions. */
const OWN = 'com.escapement.';
const SET = 'records';
const ASSET = 'com.apple.asset.';
const CONFIGURATION = 'com.apple.configuration.';

interface Declared {
  readonly kind: CatalogKind;
  readonly type: string;
  readonly identifier: string;
  readonly payload: JsonObject;
}

const nameOf = (type: string) => `${PREFIX}.${type.replace(/^com\.apple\./, '')}`;

/** What the data of each asset type is, and the record that describes it. */
const DATA: Readonly<Record<string, { readonly contentType: string; readonly credential?: string }>> = {
  [`${ASSET}credential.acme`]: { contentType: 'application/json', credential: 'com.apple.credential.acme' },
  [`${ASSET}credential.identity`]: {
    contentType: 'application/json',
    credential: 'com.apple.credential.identity',
  },
  [`${ASSET}credential.scep`]: { contentType: 'application/json', credential: 'com.apple.credential.scep' },
  [`${ASSET}credential.userpassword`]: {
    contentType: 'application/json',
    credential: 'com.apple.credential.usernameandpassword',
  },
  [`${ASSET}credential.certificate`]: { contentType: 'application/pem' },
  [`${ASSET}data`]: { contentType: 'application/octet-stream' },
};

/** A PKCS#12 file begins as every DER sequence does. */
const MEANT: Readonly<Record<string, JsonObject>> = { 'com.apple.credential.identity': { Identity: 'MAA=' } };

/** No watchOS configuration refers to these, so no watch ever uses one. */
const UNUSED = [`${ASSET}credential.userpassword`, `${ASSET}useridentity`];

export async function tellOfDeclarations(story: Story): Promise<void> {
  const declared = [...(await assets(story)), ...(await configurations()), ...(await management())];
  declared.push(await activation(declared));
  const profile = { PayloadType: 'Configuration', PayloadIdentifier: `${PREFIX}.legacy`, PayloadContent: [] };
  story.files.set('profile', { type: 'application/x-apple-aspen-config', data: writePlist(profile) });
  for (const one of declared) await storeAndRefuse(story, one);
  await admin('PUT', `sets/${SET}`, { declarations: declared.map(({ identifier }) => identifier) });
  await admin('PUT', `sets/${SET}/devices/${story.watch.udid}`);
  await settle(story.watch);
  await story.watch.connect();
  await checkOnWatch(story, declared);
  await checkShown(story, declared);
}

async function assets({ files }: Story): Promise<Declared[]> {
  const found: Declared[] = [];
  for (const { type } of await listEntries('asset', 'watchOS')) {
    const identifier = nameOf(type);
    const data = await dataOf(type);
    if (data === null) {
      found.push({ kind: 'asset', type, identifier, payload: await wholeOf('asset', type) });
      continue;
    }
    files.set(identifier, data);
    const Reference = {
      DataURL: `${FILES}/${identifier}`,
      ContentType: data.type,
      Size: data.data.length,
      'Hash-SHA-256': createHash('sha256').update(data.data).digest('hex'),
    };
    const payload = await wholeOf('asset', type, { Reference, Authentication: { Type: 'None' } });
    found.push({ kind: 'asset', type, identifier, payload });
  }
  return found;
}

async function dataOf(type: string): Promise<{ type: string; data: Buffer } | null> {
  const form = DATA[type];
  if (form === undefined) return null;
  const { contentType, credential } = form;
  if (credential !== undefined) {
    const document = await wholeOf('credential', credential, MEANT[credential]);
    return { type: contentType, data: Buffer.from(JSON.stringify(document)) };
  }
  const text = contentType === 'application/pem' ? env.TEST_DEVICE_CA.certificate : 'some data';
  return { type: contentType, data: Buffer.from(text) };
}

/** One a type, and of `security.identity` one for each credential that it may refer to. */
async function configurations(): Promise<Declared[]> {
  const statusItems = (await listEntries('status', 'watchOS')).map(({ type }) => ({ Name: type }));
  const references: Record<string, JsonObject> = {
    [`${CONFIGURATION}legacy`]: {
      ProfileURL: `${FILES}/profile`,
      ProfileAssetReference: nameOf(`${ASSET}data`),
    },
    [`${CONFIGURATION}management.status-subscriptions`]: { StatusItems: statusItems },
    [`${CONFIGURATION}management.test`]: { EchoDataAssetReference: nameOf(`${ASSET}data`) },
    [`${CONFIGURATION}security.certificate`]: {
      CredentialAssetReference: nameOf(`${ASSET}credential.certificate`),
    },
    [`${CONFIGURATION}security.identity`]: {
      CredentialAssetReference: nameOf(`${ASSET}credential.identity`),
    },
  };
  const found: Declared[] = [];
  for (const { type } of await listEntries('configuration', 'watchOS')) {
    const payload = await wholeOf('configuration', type, references[type]);
    found.push({ kind: 'configuration', type, identifier: nameOf(type), payload });
  }
  for (const other of ['acme', 'scep']) {
    const type = `${CONFIGURATION}security.identity`;
    const payload = { CredentialAssetReference: nameOf(`${ASSET}credential.${other}`) };
    found.push({ kind: 'configuration', type, identifier: `${nameOf(type)}.${other}`, payload });
  }
  return found;
}

async function management(): Promise<Declared[]> {
  const own: Record<string, JsonObject> = {
    'com.apple.management.properties': { department: 'sales', shard: 7 },
    'com.apple.management.server-capabilities': { Version: '1.0.0', SupportedFeatures: {} },
  };
  const found: Declared[] = [];
  for (const { type } of await listEntries('management', 'watchOS')) {
    const payload = await wholeOf('management', type, own[type]);
    found.push({ kind: 'management', type, identifier: nameOf(type), payload });
  }
  return found;
}

/** Of all configurations, if the watch is what it should be. */
async function activation(declared: readonly Declared[]): Promise<Declared> {
  const type = 'com.apple.activation.simple';
  const ours = declared.filter(({ kind }) => kind === 'configuration').map(({ identifier }) => identifier);
  const Predicate =
    "@status(device.model.family) == 'Watch' AND (@property(shard) BETWEEN {0, 10}) AND NOT @property(department) IN {'it'}";
  const payload = await wholeOf('activation', type, { StandardConfigurations: ours, Predicate });
  return { kind: 'activation', type, identifier: nameOf(type), payload };
}

async function storeAndRefuse({ table }: Story, one: Declared): Promise<void> {
  const { kind, type, identifier, payload } = one;
  const put = (content: Json, precondition: Precondition = 'present') =>
    putDeclaration(identifier, { type, payload: content }, precondition);
  expect((await put(payload, 'absent')).status, `${identifier} whole`).toBe(201);
  for (const fault of await faultsIn(kind, type, payload)) {
    const { status, body } = await put(fault.content);
    expect([status, body['problems']], `${identifier}: ${fault.change} ${fault.path}`).toEqual([
      422,
      [expect.objectContaining({ path: fault.path, rule: fault.rule })],
    ]);
  }
  const other = await putDeclaration(identifier, { type, payload: [] }, 'present');
  expect(other.status, `${identifier} without a dictionary`).toBe(400);
  expect((await admin('GET', `declarations/${identifier}`))['payload'], identifier).toEqual(payload);
  table.note(kind, type, 'stored', 'refused');
}

async function checkOnWatch({ table, watch, files }: Story, declared: readonly Declared[]): Promise<void> {
  const judgments = new Map(watch.declarations.map((one) => [one.declaration.identifier, one]));
  const given = [...judgments.keys()].filter((identifier) => !identifier.startsWith(OWN));
  expect(given.sort()).toEqual(declared.map(({ identifier }) => identifier).sort());
  for (const { kind, type, identifier, payload } of declared) {
    const judgment = judgments.get(identifier);
    expect(judgment?.declaration, identifier).toMatchObject({ kind, type, payload });
    const isUsed = kind !== 'management' && !UNUSED.includes(type);
    expect(judgment, `${identifier}: ${JSON.stringify(judgment?.reasons)}`).toMatchObject({
      active: isUsed,
      valid: 'valid',
    });
    table.note(kind, type, 'delivered', ...(isUsed ? ['active'] : []));
    if (UNUSED.includes(type))
      table.excuse(kind, type, 'no configuration of watchOS refers to such an asset');
    const credential = DATA[type]?.credential;
    if (credential !== undefined) await checkCredential({ table, watch, files }, credential, type);
  }
}

async function checkCredential(
  { table, watch, files }: Pick<Story, 'table' | 'watch' | 'files'>,
  credential: string,
  type: string,
): Promise<void> {
  expect(await checkedAndRefused('credential', credential, await wholeOf('credential', credential))).toEqual(
    [],
  );
  table.note('credential', credential, 'checked', 'refused');
  if (UNUSED.includes(type)) {
    table.excuse('credential', credential, 'its asset is not used on watchOS, so it is never downloaded');
    return;
  }
  expect(watch.assetData(nameOf(type))).toEqual(files.get(nameOf(type))?.data);
  table.note('credential', credential, 'delivered', 'active');
}

/** The administrator sees of each what the watch made of it. */
async function checkShown({ table, watch }: Story, declared: readonly Declared[]): Promise<void> {
  const { items } = await admin('GET', `devices/${watch.udid}/declarations`);
  const shown = new Map((items as Json[]).map((item) => [item['identifier'], item]));
  for (const { kind, type, identifier } of declared) {
    const judgment = watch.declarations.find((one) => one.declaration.identifier === identifier);
    expect(shown.get(identifier), identifier).toMatchObject({
      kind,
      fetched: true,
      serverToken: judgment?.declaration.serverToken,
      active: judgment?.active,
      valid: 'valid',
    });
    expect(shown.get(identifier)).not.toHaveProperty('withheld');
    table.note(kind, type, 'shown');
  }
}
