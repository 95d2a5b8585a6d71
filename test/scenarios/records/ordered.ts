/**
 * Commands and the profiles that one of them carries: ordered by the admin API with every key, delivered to the watch as
 * ordered, answered, and read back. DeclarativeManagement is the server's own to order.
 */
import { Buffer } from 'node:buffer';
import { expect } from 'vitest';
import { listEntries } from '../../../src/protocol/catalog/catalog.ts';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';
import { signCms, toPem, writePlist } from '../../simulator/index.ts';
import { admin, adminReply, type Json } from '../../support/front-door.ts';
import { checkedAndRefused, jsonOf, plistOf, problemsOf, wholeOf } from './content.ts';
import { PREFIX } from './declared.ts';
import type { Story } from './story.ts';

const APP = 'com.example.watch-app';
const PROFILE = 'com.example.profile';
const PROVISIONING = '00000000-0000-4000-8000-0000000000AB';
const BY_SERVER = 'DeclarativeManagement';
const ENVELOPES = ['CommonPayloadKeys', 'TopLevel'];
const MANAGEMENT = 'com.apple.mdm';
const BY_HAND = 'com.apple.declarations';

/** What the watch was sent, by RequestType, as JSON. */
type Received = Map<string, JsonObject>;

export async function tellOfCommands(story: Story): Promise<void> {
  const { table, watch } = story;
  const received = listen(story);
  const types = (await listEntries('command', 'watchOS')).map(({ type }) => type);
  // In an order in which each has something to act on; erasing comes last.
  const first = ['InstallApplication', 'InstallProfile'];
  const last = 'EraseDevice';
  const meant = own(story);
  const between = types.filter((type) => ![...first, last, BY_SERVER].includes(type));
  await tellOfDeclarativeManagement(story, received);
  for (const type of [...first, ...between, last]) {
    const command = await wholeOf('command', type, meant[type]);
    expect(await checkedAndRefused('command', type, command), type).toEqual([]);
    table.note('command', type, 'checked', 'refused');
    const confirm = type === last ? { confirm: { serial: watch.serial } } : {};
    const path = `devices/${watch.udid}/commands`;
    const { commandUuid } = await admin('POST', path, {
      command: orderable(command),
      push: false,
      ...confirm,
    });
    table.note('command', type, 'queued');
    const { commands } = await watch.connect();
    expect(commands).toEqual([{ commandUuid, requestType: type, status: 'Acknowledged' }]);
    expect(received.get(type)).toEqual(command);
    table.note('command', type, 'delivered', 'answered');
    const shown = await admin('GET', `${path}/${commandUuid}`);
    expect(shown).toMatchObject({ state: 'acknowledged', status: 'Acknowledged', error: null });
    await checkAnswer(type, shown['result'] as JsonObject);
    table.note('command', type, 'shown');
  }
}

/** The unlock token is the server's to put in. */
function orderable({ UnlockToken: _token, ...command }: JsonObject): JsonObject {
  return command;
}

/** What only means something with a value of this watch. */
function own({ watch }: Story): Readonly<Record<string, JsonObject>> {
  const profile = writePlist({
    PayloadIdentifier: PROFILE,
    PayloadUUID: PROFILE,
    PayloadType: 'Configuration',
    PayloadVersion: 1,
    PayloadContent: [],
  });
  const { key, certificate } = watch.identity;
  const provisioning = signCms(writePlist({ Name: 'Example', UUID: PROVISIONING }), { key, certificate });
  return {
    ClearPasscode: { UnlockToken: data(watch.facts.unlockToken ?? Buffer.alloc(0)) },
    InstallApplication: { Identifier: APP },
    RemoveApplication: { Identifier: APP },
    InstallProfile: { Payload: data(profile) },
    RemoveProfile: { Identifier: PROFILE },
    InstallProvisioningProfile: { ProvisioningProfile: data(provisioning) },
    RemoveProvisioningProfile: { UUID: PROVISIONING },
  };
}

function listen({ watch }: Story): Received {
  const received: Received = new Map();
  for (const [type, answer] of watch.answers) {
    watch.answers.set(type, (command) => {
      received.set(type, jsonOf(command) as JsonObject);
      return answer(command);
    });
  }
  return received;
}

/** The keys of the watch's answer are those that the catalog lists, whatever else a schema may hold of them. */
async function checkAnswer(type: string, result: JsonObject): Promise<void> {
  const entry = (await listEntries('command', 'watchOS')).find((one) => one.type === type);
  const envelope = ['UDID', 'CommandUUID', 'Status'];
  const keys = Object.keys(result).filter((key) => !envelope.includes(key));
  const known = (entry?.responseKeys ?? []).map(({ name }) => name);
  expect(known, `${type} answers ${keys.join(', ')}`).toEqual(expect.arrayContaining(keys));
}

/** A declaration is touched, so that the server has something to tell. */
async function tellOfDeclarativeManagement({ table, watch }: Story, received: Received): Promise<void> {
  const any = watch.declarations
    .map(({ declaration }) => declaration.identifier)
    .find((identifier) => identifier.startsWith(PREFIX));
  await admin('POST', `declarations/${any}/touch`);
  const { commands, sync } = await watch.connect();
  expect(commands).toMatchObject([{ requestType: BY_SERVER, status: 'Acknowledged' }]);
  expect(sync?.fetched).toEqual([any]);
  const command = received.get(BY_SERVER) ?? {};
  expect(await checkedAndRefused('command', BY_SERVER, command)).toEqual([]);
  const shown = await admin('GET', `devices/${watch.udid}/commands/${commands[0]?.commandUuid}`);
  expect(shown).toMatchObject({ state: 'acknowledged', status: 'Acknowledged' });
  table.note('command', BY_SERVER, 'checked', 'refused', 'queued', 'delivered', 'answered', 'shown');
}

/** One profile a payload type, each with every key, in InstallProfile; the watch lists it afterwards. */
export async function tellOfProfiles(story: Story): Promise<void> {
  const { table, watch } = story;
  const types = (await listEntries('profile', 'watchOS')).map(({ type }) => type);
  for (const [i, type] of types.filter((one) => !ENVELOPES.includes(one)).entries()) {
    const named = (what: string) => ({
      PayloadIdentifier: `com.example.${what}`,
      PayloadUUID: uuid(what, i),
    });
    const payload = await wholeOf('profile', type, { ...named(`${type}.payload`), ...fileOf(watch, type) });
    expect(await checkedAndRefused('profile', type, payload), type).toEqual([]);
    table.note('profile', type, 'checked', 'refused');
    const top = await wholeOf('profile', 'TopLevel', { ...named(type), PayloadType: 'Configuration' });
    const { EncryptedPayloadContent: _none, ...clear } = top;
    const profile: JsonObject = { ...clear, IsEncrypted: false, PayloadContent: [payload] };
    const common = await wholeOf('profile', 'CommonPayloadKeys', named(type));
    expect(await problemsOf('profile', 'TopLevel', profile)).toEqual([]);
    const install = { InstallProfile: { Payload: data(writePlist(plistOf(profile))) } };
    if (type === MANAGEMENT || type === BY_HAND) {
      await refuseOrder(watch, install);
      continue;
    }
    await order(watch, install);
    expect(jsonOf(watch.facts.profiles.get(`com.example.${type}`) ?? {})).toEqual(profile);
    const { result } = await order(watch, { ProfileList: {} });
    const listed = ((result as Json)['ProfileList'] as Json[]).find(
      (one) => one['PayloadIdentifier'] === `com.example.${type}`,
    );
    expect(listed?.['PayloadContent'], type).toMatchObject([{ PayloadType: type }]);
    table.note('profile', type, 'delivered', 'installed');
    if (i > 0) continue;
    for (const [envelope, content] of [
      ['TopLevel', top],
      ['CommonPayloadKeys', common],
    ] as const) {
      expect(await checkedAndRefused('profile', envelope, content), envelope).toEqual([]);
      table.note('profile', envelope, 'checked', 'refused', 'delivered', 'installed');
    }
  }
  await tellOfOthers(story);
}

/** A watch looks into the certificates that it is given. */
function fileOf({ identity }: Story['watch'], type: string): JsonObject {
  const { der } = identity.certificate;
  if (['com.apple.security.root', 'com.apple.security.pkcs1'].includes(type))
    return { PayloadContent: data(der) };
  if (type === 'com.apple.security.pem') return { PayloadContent: data(Buffer.from(toPem(der))) };
  return type === 'com.apple.security.pkcs12' ? { PayloadContent: data(Buffer.from([0x30, 0])) } : {};
}

/** What came with enrolling, and what no server installs. */
async function tellOfOthers({ table, watch }: Story): Promise<void> {
  const { result } = await order(watch, { ProfileList: {} });
  const payloads = ((result as Json)['ProfileList'] as Json[]).flatMap(
    (one) => one['PayloadContent'] as Json[],
  );
  expect(payloads.map((one) => one['PayloadType'])).toContain(MANAGEMENT);
  table.note('profile', MANAGEMENT, 'delivered', 'installed');
  table.excuse('profile', BY_HAND, 'only a person installs it, so the server refuses to');
}

async function refuseOrder(watch: Story['watch'], one: Readonly<Record<string, JsonObject>>): Promise<void> {
  const [[RequestType, more]] = Object.entries(one) as [[string, JsonObject]];
  const command = { RequestType, ...more };
  const { status, body } = await adminReply('POST', `devices/${watch.udid}/commands`, { command });
  expect([status, body['type']]).toEqual([422, 'urn:escapement:problem:invalid-command']);
}

async function order(watch: Story['watch'], one: Readonly<Record<string, JsonObject>>): Promise<Json> {
  const [[RequestType, more]] = Object.entries(one) as [[string, JsonObject]];
  const path = `devices/${watch.udid}/commands`;
  const { commandUuid } = await admin('POST', path, { command: { RequestType, ...more }, push: false });
  await watch.connect();
  const shown = await admin('GET', `${path}/${commandUuid}`);
  expect(shown, RequestType).toMatchObject({ state: 'acknowledged', status: 'Acknowledged' });
  return shown;
}

const data = (bytes: Buffer) => ({ $data: bytes.toString('base64') });

function uuid(what: string, i: number): string {
  const digits = Buffer.from(what).toString('hex').padEnd(12, '0').slice(-12);
  return `00000000-0000-4000-8${String(i).padStart(3, '0')}-${digits}`.toUpperCase();
}
