/**
 * Records that are messages themselves: check-in, MachineInfo, what declarative management says in either direction,
 * and the two error documents. They are taken from what a watch said and was told here; with a fault the server
 * refuses a message, and the catalog finds the fault in a document.
 */
import { Buffer } from 'node:buffer';
import { expect } from 'vitest';
import type { CatalogKind } from '../../../src/protocol/catalog/entry.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';
import { openSigned, type PlistDict, readDict } from '../../simulator/index.ts';
import { admin, unpairedWatch } from '../../support/front-door.ts';
import { checkedAndRefused, entryOf, jsonOf, problemsOf, wholeOf } from './content.ts';
import type { Heard, Story } from './story.ts';

const PAIRING_ERROR = 'com.apple.watch.pairing.token.missing';
const UNENROLL = 'com.apple.unrecognized.device';

/** A second watch from its first request to CheckOut: pairing, enrollment, declarative management. */
export async function tellOfMessages(story: Story): Promise<void> {
  const { phone, heard } = story;
  const from = heard.length;
  const watch = await unpairedWatch(phone, { osVersion: '27.0' });
  const asked = await watch.requestProfile();
  expect([asked.status, asked.document?.code]).toEqual([403, PAIRING_ERROR]);
  expect((await watch.pairWith(phone)).kind).toBe('enrolled');
  await expectState(watch, 'enrolled');
  await watch.sync();
  await refuseCheckIns(story, watch);
  await watch.checkOut();
  await expectState(watch, 'checked-out');
  const said = heard.slice(from).filter(({ sent }) => sent.includes(watch.udid));
  for (const type of ['Authenticate', 'TokenUpdate', 'DeclarativeManagement', 'CheckOut']) {
    const one = said.find(({ sent, status }) => status === 200 && sent.includes(`<string>${type}<`));
    expect(await checkedAndRefused('checkin', type, dictOf(one)), type).toEqual([]);
    story.table.note('checkin', type, 'sent', 'checked', 'effective');
  }
  await tellOfMachineInfo(story, watch.machineInfo({ PAIRING_TOKEN: Buffer.from('token') }));
  await tellOfError(story, JSON.parse(JSON.stringify(asked.document)) as JsonObject);
}

type Watch = Awaited<ReturnType<typeof unpairedWatch>>;

async function expectState(watch: Watch, state: string): Promise<void> {
  expect(await admin('GET', `devices/${watch.udid}`)).toMatchObject({ state });
}

function dictOf(one: Heard | undefined): JsonObject {
  return one === undefined ? {} : (jsonOf(readDict(one.sent)) as JsonObject);
}

/** Each message without each of its required keys is refused, and the enrollment stays as it is. */
async function refuseCheckIns({ table, watch: other }: Story, watch: Watch): Promise<void> {
  const Topic = watch.profile?.topic ?? '';
  const whole: Record<string, PlistDict> = {
    Authenticate: { Topic },
    TokenUpdate: { Topic, Token: Buffer.from('token'), PushMagic: 'magic' },
    DeclarativeManagement: { Endpoint: 'tokens' },
    CheckOut: { Topic },
  };
  for (const [type, fields] of Object.entries(whole)) {
    const required = (await entryOf('checkin', type)).keys?.filter((key) => key.required) ?? [];
    expect(required.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(fields)));
    for (const name of Object.keys(fields)) {
      const { [name]: _gone, ...rest } = fields;
      expect((await watch.checkIn(type, rest)).status, `${type} without ${name}`).toBe(400);
      expect((await watch.checkIn(type, { ...fields, [name]: [] })).status, `${type}, ${name} an array`).toBe(
        400,
      );
    }
    expect((await watch.checkIn(type, { ...fields, UDID: other.udid })).status).toBe(403);
    await expectState(watch, 'enrolled');
    table.note('checkin', type, 'refused');
  }
}

async function tellOfMachineInfo({ table }: Story, cms: Buffer): Promise<void> {
  const content = jsonOf(readDict(openSigned(cms).content)) as JsonObject;
  expect(await checkedAndRefused('other', 'MachineInfo', content)).toEqual([]);
  table.note('other', 'MachineInfo', 'sent', 'checked', 'refused');
  const manifest = await wholeOf('other', 'ManifestURL');
  expect(await checkedAndRefused('other', 'ManifestURL', manifest)).toEqual([]);
  table.note('other', 'ManifestURL', 'checked', 'refused');
  table.excuse(
    'other',
    'ManifestURL',
    'the manifest of an app is served where InstallApplication says, not here',
  );
}

async function tellOfError({ table }: Story, document: JsonObject): Promise<void> {
  expect(await checkedAndRefused('error', PAIRING_ERROR, document)).toEqual([]);
  table.note('error', PAIRING_ERROR, 'checked', 'refused', 'sent');
  const other = await wholeOf('error', UNENROLL);
  expect(await checkedAndRefused('error', UNENROLL, other)).toEqual([]);
  table.note('error', UNENROLL, 'checked', 'refused');
}

/** What declarative management said in the whole story, each document held against its record. */
export async function tellOfDocuments({ table, heard }: Story): Promise<void> {
  const counts = new Map<string, number>();
  const check = async (kind: CatalogKind, type: string, document: JsonValue) => {
    const seen = (counts.get(type) ?? 0) + 1;
    counts.set(type, seen);
    // The faults of the first few are enough; whole, every one must be.
    const limit = seen <= 3 ? checkedAndRefused : problemsOf;
    expect(await limit(kind, type, document as JsonObject), `${type} ${seen}`).toEqual([]);
    table.note(kind, type, 'sent', 'checked', 'refused');
  };
  for (const { sent, status, answered } of heard.filter(isDeclarative)) {
    if (status !== 200) continue;
    const message = readDict(sent);
    const endpoint = String(message['Endpoint']);
    const report = Buffer.from(message['Data'] instanceof Uint8Array ? message['Data'] : []);
    const document = JSON.parse((endpoint === 'status' ? report : answered).toString()) as JsonValue;
    if (endpoint === 'tokens') await check('protocol', 'TokensResponse', document);
    else if (endpoint === 'declaration-items') await check('protocol', 'DeclarationItemsResponse', document);
    else if (endpoint === 'status') await check('protocol', 'StatusReport', document);
    else await check('base', 'any', document);
    if (endpoint !== 'status') continue;
    for (const reason of reasonsIn(document)) await check('base', 'status-reason', reason);
  }
}

const isDeclarative = ({ path, sent }: Heard) =>
  path === '/mdm/checkin' && sent.includes('<string>DeclarativeManagement<');

/** Of the declarations in a report. */
function reasonsIn(document: JsonValue): JsonValue[] {
  if (Array.isArray(document)) return document.flatMap(reasonsIn);
  if (typeof document !== 'object' || document === null) return [];
  return Object.entries(document).flatMap(([key, value]) =>
    key === 'reasons' && Array.isArray(value) ? value : reasonsIn(value),
  );
}

/** Every answer to a device in the whole story: none on which it would unenroll. */
export function tellOfUnenrollment({ table, heard }: Story): number {
  const answers = heard.filter(({ path }) => !path.startsWith('/api/'));
  for (const { path, status, answered } of answers) {
    expect(status, path).not.toBe(401);
    expect(answered.includes(UNENROLL), path).toBe(false);
  }
  table.excuse(
    'error',
    UNENROLL,
    `never, in ${answers.length} answers: a phone that reads it erases its watch`,
  );
  return answers.length;
}
