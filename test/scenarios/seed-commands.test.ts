/**
 * What an administrator does to a watch most, each through everything that can go wrong on the way: put off at first,
 * delivered into a dead line, the object evicted, the answer lost, sent again and sent twice. The watch does it, the
 * answer is read back through the API, and it stands in history once. Then the ends of an enrollment, each only after its
 * consequences were confirmed.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type AnsweredCommand,
  type ManagedDevice,
  type PlistDict,
  ReplyLost,
  type SimulatedPhone,
  type SimulatedWatch,
  signCms,
  writePlist,
} from '../simulator/index.ts';
import {
  admin,
  adminReply,
  assignedPhone,
  commandState,
  type Json,
  newWorld,
  order,
  ordered,
  pairedWatch,
  send,
} from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import { Cut } from './convergence/network.ts';

const APP = 'com.example.watch-app';
const PROVISIONING = '00000000-0000-4000-8000-00000000C0DE';

/** How the next requests fare; an empty list is good weather. */
let weather: ('fine' | 'cut' | 'reply lost' | 'twice')[] = [];

async function badSend(request: Request): Promise<Response> {
  const fate = new URL(request.url).pathname === '/mdm/connect' ? weather.shift() : undefined;
  if (fate === 'cut') throw new Cut('the line is dead');
  const copy = request.clone() as Request;
  const first = await send(request);
  if (fate === 'reply lost') throw new ReplyLost('the reply was lost');
  return fate === 'twice' ? send(copy) : first;
}

afterAll(async () => {
  await checkInvariants();
  vi.restoreAllMocks();
});

/** Through all of it; what the API shows in the end. */
async function throughFaults(device: ManagedDevice, command: Json, more: Json = {}): Promise<Json> {
  const type = String(command['RequestType']);
  const carriedOut = spy(device, type);
  const uuid = await order(device, type, { command, ...more });
  device.manners.defer(type, 1);
  await device.connect();
  await settle(device);
  expect(await commandState(device, uuid), 'put off').toBe('not-now');
  weather = ['reply lost', 'cut'];
  await expect(device.connect()).rejects.toThrow(Cut);
  expect(await commandState(device, uuid), 'delivered into a dead line').toBe('delivered');
  await evictAllDurableObjects();
  weather = ['twice', 'cut'];
  await expect(device.connect()).rejects.toThrow(Cut);
  expect(carriedOut, 'carried out, and the answer is still to come').toHaveLength(1);
  await evictAllDurableObjects();
  weather = ['twice', 'reply lost', 'twice'];
  const { commands } = await device.connect({ resume: true });
  weather = [];
  expect(own(commands)).toEqual([[uuid, 'Acknowledged']]);
  expect(carriedOut, 'carried out').toHaveLength(1);
  const shown = await admin('GET', `devices/${device.udid}/commands/${uuid}`);
  expect(shown).toMatchObject({
    state: 'acknowledged',
    status: 'Acknowledged',
    requestType: type,
    error: null,
  });
  const { items } = await admin('GET', `devices/${device.udid}/commands?limit=200`);
  expect((items as Json[]).filter((one) => one['commandUuid'] === uuid)).toHaveLength(1);
  return shown['result'] as Json;
}

/** Without what the server has to say by itself. */
function own(commands: readonly AnsweredCommand[]): string[][] {
  return commands
    .filter((one) => one.requestType !== 'DeclarativeManagement')
    .map(({ commandUuid, status }) => [commandUuid, status]);
}

/** Every time that the device does it. */
function spy(device: ManagedDevice, type: string): PlistDict[] {
  const seen: PlistDict[] = [];
  const answer = device.answers.get(type);
  if (answer === undefined) throw new Error(`${device.name} does not know ${type}`);
  device.answers.set(type, (command) => {
    seen.push(command);
    return answer(command);
  });
  return seen;
}

async function told(device: ManagedDevice, command: Json): Promise<Json> {
  const uuid = await order(device, String(command['RequestType']), { command });
  await device.connect();
  const shown = await admin('GET', `devices/${device.udid}/commands/${uuid}`);
  expect(shown).toMatchObject({ state: 'acknowledged' });
  return shown['result'] as Json;
}

const data = (bytes: Uint8Array) => ({ $data: Buffer.from(bytes).toString('base64') });

function profile(identifier: string, payload: PlistDict): Json {
  const part = (which: string, more: PlistDict): PlistDict => ({
    ...{ PayloadIdentifier: which, PayloadUUID: `${which}.uuid`, PayloadVersion: 1 },
    ...more,
  });
  const PayloadContent = [part(`${identifier}.0`, payload)];
  const document = part(identifier, { PayloadType: 'Configuration', PayloadContent });
  return { RequestType: 'InstallProfile', Payload: data(writePlist(document)) };
}

let phone: SimulatedPhone;
let watch: SimulatedWatch;

async function pair(): Promise<[SimulatedPhone, SimulatedWatch]> {
  const host = await assignedPhone({ world: newWorld({ send: badSend }) });
  const one = await pairedWatch(host);
  await settle();
  return [host, one];
}

describe('asked and told', () => {
  beforeAll(async () => {
    [phone, watch] = await pair();
    const forbids = { PayloadType: 'com.apple.applicationaccess', allowScreenShot: false };
    await told(watch, profile('com.example.restrictions', forbids));
    const rules = { PayloadType: 'com.apple.mobiledevice.passwordpolicy', forcePIN: true, minLength: 8 };
    await told(watch, profile('com.example.passcode', rules));
    const { key, certificate } = watch.identity;
    const provisioning = signCms(writePlist({ Name: 'Example', UUID: PROVISIONING }), { key, certificate });
    await told(watch, { RequestType: 'InstallProvisioningProfile', ProvisioningProfile: data(provisioning) });
    await told(watch, { RequestType: 'InstallApplication', Identifier: APP, Configuration: { server: 'a' } });
    for (let i = 0; i < 2; i++) await watch.connect();
  });

  const some = (member: Json) => expect.arrayContaining([expect.objectContaining(member)]);

  it.each<[Json, () => Json]>([
    [
      { RequestType: 'DeviceInformation', Queries: ['SerialNumber', 'IsSupervised', 'OSVersion'] },
      () => ({ QueryResponses: { SerialNumber: watch.serial, IsSupervised: true, OSVersion: '26.1' } }),
    ],
    [
      { RequestType: 'SecurityInfo' },
      () => ({ SecurityInfo: expect.objectContaining({ PasscodePresent: true, PasscodeCompliant: false }) }),
    ],
    [
      { RequestType: 'ProfileList' },
      () => ({ ProfileList: some({ PayloadIdentifier: 'com.example.restrictions', IsManaged: true }) }),
    ],
    [
      { RequestType: 'InstalledApplicationList', ManagedAppsOnly: true },
      () => ({ InstalledApplicationList: [expect.objectContaining({ Identifier: APP, Installing: false })] }),
    ],
    [
      { RequestType: 'ManagedApplicationList' },
      () => ({
        ManagedApplicationList: {
          [APP]: expect.objectContaining({ Status: 'Managed', HasConfiguration: true }),
        },
      }),
    ],
    [
      { RequestType: 'CertificateList' },
      () => ({
        CertificateList: some({ IsIdentity: true, Data: data(watch.certificate?.der ?? Buffer.alloc(0)) }),
      }),
    ],
    [
      { RequestType: 'Restrictions', ProfileRestrictions: true },
      () => ({
        GlobalRestrictions: expect.objectContaining({
          restrictedBool: { allowScreenShot: { value: false }, forcePIN: { value: true } },
          restrictedValue: { minLength: { value: 8 } },
        }),
        ProfileRestrictions: expect.objectContaining({ 'com.example.passcode': expect.any(Object) }),
      }),
    ],
    [
      { RequestType: 'ProvisioningProfileList' },
      () => ({ ProvisioningProfileList: some({ UUID: PROVISIONING }) }),
    ],
    [
      {
        RequestType: 'Settings',
        Settings: [
          { Item: 'ApplicationConfiguration', Identifier: APP, Configuration: { server: 'b' } },
          { Item: 'ApplicationAttributes', Identifier: 'com.example.not-here' },
        ],
      },
      () => ({
        Settings: [{ Status: 'Acknowledged', Identifier: APP }, expect.objectContaining({ Status: 'Error' })],
      }),
    ],
  ])('%j is answered once', async (command, expected) => {
    expect(await throughFaults(watch, command)).toMatchObject(expected());
  });

  it('what Settings set is what the watch has', async () => {
    const Identifiers = [APP];
    const answer = await told(watch, { RequestType: 'ManagedApplicationConfiguration', Identifiers });
    expect(answer['ApplicationConfigurations']).toEqual([
      { Identifier: APP, Configuration: { server: 'b' } },
    ]);
  });

  it('a lock locks, also behind a queue that was put off', async () => {
    const waiting = await order(watch, 'ProfileList');
    watch.manners.defer('ProfileList', 1);
    await watch.connect();
    const command = {
      RequestType: 'DeviceLock',
      Message: 'Please return this watch.',
      PhoneNumber: '555 0100',
    };
    const uuid = await order(watch, 'DeviceLock', { command });
    expect(own((await watch.connect()).commands).map(([one]) => one)).toEqual([uuid, waiting]);
    expect(watch.facts.locked).toBe(true);
    watch.facts.locked = false;
    expect(await throughFaults(watch, command)).toMatchObject({ MessageResult: 'Success' });
    expect(watch.facts.locked).toBe(true);
  });

  it('a cleared passcode needs the token that the watch gave, and nobody sees it', async () => {
    const result = await throughFaults(watch, { RequestType: 'ClearPasscode' });
    expect(JSON.stringify(result)).not.toContain('UnlockToken');
    expect([watch.facts.passcode, watch.facts.locked]).toEqual([false, false]);
    const { SecurityInfo } = await told(watch, { RequestType: 'SecurityInfo' });
    expect(SecurityInfo).toMatchObject({ PasscodePresent: false, PasscodeCompliant: false });
  });
});

const END = ['unenroll', 'unpair', 'erase'];

/** Ordered without the serial number, with that of the other, and with its own; then carried out. */
async function confirmedEnd(device: ManagedDevice, other: ManagedDevice, command: Json): Promise<Json[]> {
  const path = `devices/${device.udid}/commands`;
  const body = { command, push: false };
  const asked = await adminReply('POST', path, body);
  expect([asked.status, asked.body['type']]).toEqual([422, expect.stringContaining('confirmation-needed')]);
  const wrong = await adminReply('POST', path, { ...body, confirm: { serial: other.serial } });
  expect(wrong.status).toBe(422);
  const done = await admin('POST', path, { ...body, confirm: { serial: device.serial } });
  ordered.set(String(done['commandUuid']), { udid: device.udid });
  expect(done['causes']).toEqual(asked.body['causes']);
  weather = ['twice', 'reply lost'];
  const { commands } = await device.connect();
  weather = [];
  expect(own(commands)).toEqual([[done['commandUuid'], 'Acknowledged']]);
  return done['causes'] as Json[];
}

const removal = (device: ManagedDevice): Json => ({
  RequestType: 'RemoveProfile',
  Identifier: device.profile?.identifier ?? '',
});

describe('the end', () => {
  it('by erasing a watch: what waited behind it never comes, also when it pairs again', async () => {
    [phone, watch] = await pair();
    const later = await order(watch, 'ProfileList');
    const causes = await confirmedEnd(watch, phone, { RequestType: 'EraseDevice' });
    expect(causes).toEqual([{ device: watch.udid, effects: END }]);
    expect([watch.facts.erased, watch.profile, phone.watches.size]).toEqual([true, null, 0]);
    expect(await admin('GET', `devices/${phone.udid}`)).toMatchObject({ state: 'enrolled' });
    watch.useEnrollmentUrl(phone.watchEnrollmentUrl() ?? '');
    expect(await watch.pairWith(phone)).toMatchObject({ kind: 'enrolled' });
    const { commands } = await watch.connect();
    expect(commands.map((one) => one.commandUuid)).not.toContain(later);
    expect(await commandState(watch, later)).toBe('canceled');
    expect(watch.facts.erased).toBe(false);
  });

  it('by removing the enrollment profile of a watch', async () => {
    [phone, watch] = await pair();
    const causes = await confirmedEnd(watch, phone, removal(watch));
    expect(causes).toEqual([{ device: watch.udid, effects: END }]);
    expect([watch.facts.erased, watch.profile]).toEqual([true, null]);
    await settle(watch);
    expect(await admin('GET', `devices/${watch.udid}`)).toMatchObject({ state: 'checked-out' });
    expect(await admin('GET', `devices/${phone.udid}`)).toMatchObject({ state: 'enrolled' });
  });

  it.each([
    ['erasing', () => ({ RequestType: 'EraseDevice' }), ['unenroll', 'erase']],
    ['unenrolling', removal, ['unenroll']],
  ] as const)('by %s an iPhone takes its watch along, and is said to', async (_how, command, own) => {
    [phone, watch] = await pair();
    const causes = await confirmedEnd(phone, watch, command(phone));
    expect(causes).toEqual([
      { device: phone.udid, effects: own },
      { device: watch.udid, effects: END },
    ]);
    expect([watch.facts.erased, watch.profile, phone.profile]).toEqual([true, null, null]);
  });

  it('never comes by a mistyped identifier', async () => {
    [phone, watch] = await pair();
    const uuid = await order(watch, 'RemoveProfile', {
      command: { RequestType: 'RemoveProfile', Identifier: 'com.example.nothing' },
    });
    await watch.connect();
    expect(await commandState(watch, uuid)).toBe('error');
    expect([watch.facts.erased, watch.profile === null]).toEqual([false, false]);
  });
});
