/**
 * Every command that watchOS takes (21 in schema 18.1) is ordered through the API, delivered to a watch, answered by it and
 * read back as JSON, with what it did to the watch. Every command that an iPhone takes and a watch does not is refused
 * with a reason, and nothing of it is queued.
 */
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEntries } from '../../src/protocol/catalog/catalog.ts';
import { type SimulatedWatch, signCms, writePlist } from '../simulator/index.ts';
import { admin, adminReply, assignedPhone, type Json, ordered, pairedWatch } from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';
import { mobileConfig } from '../support/uploads.ts';

const APP = 'com.example.watch-app';
const PROFILE = 'com.example.profile';
const PROVISIONING = '01234567-89AB-CDEF-0123-456789ABCDEF';

let watch: SimulatedWatch;
beforeAll(async () => {
  watch = await pairedWatch(await assignedPhone());
});
afterAll(checkInvariants);

interface Case {
  readonly keys?: () => Json;
  readonly result?: Json;
  readonly effect?: () => void;
}

const data = (bytes: Uint8Array) => ({ $data: Buffer.from(bytes).toString('base64') });
const some = (member: Json) => expect.arrayContaining([expect.objectContaining(member)]);

function provisioning(): Json {
  const { key, certificate } = watch.identity;
  const content = writePlist({ Name: 'Example', UUID: PROVISIONING });
  return { ProvisioningProfile: data(signCms(content, { key, certificate })) };
}

/** In an order in which each has something to act on. */
const COMMANDS: Readonly<Record<string, Case>> = {
  InstallApplication: {
    keys: () => ({
      Identifier: APP,
      ManagementFlags: 1,
      Configuration: { server: 'x' },
      Attributes: { Removable: false },
    }),
    result: { Identifier: APP, State: 'Queued' },
  },
  InstallProfile: {
    keys: () => ({ Payload: data(Buffer.from(mobileConfig())) }),
    effect: () => expect([...watch.facts.profiles.keys()]).toContain(PROFILE),
  },
  InstallProvisioningProfile: { keys: provisioning },
  DeviceInformation: {
    keys: () => ({ Queries: ['UDID', 'SerialNumber', 'BatteryLevel', 'WiFiMAC', 'IsSupervised'] }),
    result: {
      QueryResponses: {
        UDID: expect.any(String),
        SerialNumber: expect.any(String),
        BatteryLevel: expect.any(Number),
        WiFiMAC: expect.any(String),
        IsSupervised: true,
      },
    },
  },
  SecurityInfo: {
    result: { SecurityInfo: expect.objectContaining({ PasscodeCompliant: expect.any(Boolean) }) },
  },
  InstalledApplicationList: {
    keys: () => ({ ManagedAppsOnly: true, Items: ['Identifier', 'Version'] }),
    result: { InstalledApplicationList: some({ Identifier: APP, Version: '1.0' }) },
  },
  ManagedApplicationList: {
    keys: () => ({ Identifiers: [APP] }),
    result: { ManagedApplicationList: { [APP]: expect.objectContaining({ Status: 'Managed' }) } },
  },
  ManagedApplicationAttributes: {
    keys: () => ({ Identifiers: [APP] }),
    result: { ApplicationAttributes: [{ Identifier: APP, Attributes: { Removable: false } }] },
  },
  ManagedApplicationConfiguration: {
    keys: () => ({ Identifiers: [APP] }),
    result: { ApplicationConfigurations: [{ Identifier: APP, Configuration: { server: 'x' } }] },
  },
  RemoveApplication: {
    keys: () => ({ Identifier: APP }),
    effect: () => expect([...watch.facts.apps.keys()]).not.toContain(APP),
  },
  CertificateList: {
    result: { CertificateList: some({ IsIdentity: true, Data: { $data: expect.any(String) } }) },
  },
  ProfileList: {
    result: { ProfileList: some({ PayloadIdentifier: PROFILE }) },
  },
  ProvisioningProfileList: {
    result: { ProvisioningProfileList: some({ UUID: PROVISIONING }) },
  },
  Restrictions: {
    keys: () => ({ ProfileRestrictions: true }),
    result: { GlobalRestrictions: expect.any(Object), ProfileRestrictions: expect.any(Object) },
  },
  Settings: {
    keys: () => ({
      Settings: [{ Item: 'OrganizationInfo', OrganizationInfo: { OrganizationName: 'Example' } }],
    }),
    result: { Settings: [expect.objectContaining({ Status: 'Acknowledged' })] },
  },
  RemoveProvisioningProfile: { keys: () => ({ UUID: PROVISIONING }) },
  RemoveProfile: {
    keys: () => ({ Identifier: PROFILE }),
    effect: () => expect([...watch.facts.profiles.keys()]).not.toContain(PROFILE),
  },
  DeviceLock: {
    keys: () => ({ Message: 'Please return this watch.', PhoneNumber: '+1 555 0100' }),
    result: { MessageResult: expect.any(String) },
    effect: () => expect(watch.facts.locked).toBe(true),
  },
  ClearPasscode: {
    keys: () => {
      watch.facts.passcode = true;
      return {};
    },
    effect: () => expect(watch.facts.passcode).toBe(false),
  },
  DeclarativeManagement: {},
  EraseDevice: { keys: () => ({ PreserveDataPlan: true }) },
};

/** Until the server has nothing of its own to tell it. */
async function quiet(device: SimulatedWatch): Promise<void> {
  for (let poll = 0; poll < 10; poll++) {
    await settle(device);
    if ((await device.connect()).commands.length === 0) return;
  }
  throw new Error('the server has more and more to tell');
}

async function waiting(): Promise<readonly unknown[]> {
  const { results } = await env.DB.prepare('SELECT command_uuid FROM commands WHERE udid = ? ORDER BY 1')
    .bind(watch.udid)
    .all();
  return results;
}

describe('a command that watchOS takes', () => {
  it('is one of 21, as the catalog has them', async () => {
    const known = (await listEntries('command', 'watchOS')).map(({ type }) => type);
    expect(Object.keys(COMMANDS).toSorted()).toEqual(known);
    expect(known).toHaveLength(21);
  });

  it('has nothing before it', async () => {
    await quiet(watch);
    expect(await waiting()).toEqual([]);
  });

  it.each(Object.entries(COMMANDS))('%s is ordered, delivered, answered and read back', async (type, one) => {
    const command = { RequestType: type, ...one.keys?.() };
    const path = `devices/${watch.udid}/commands`;
    const confirm = type === 'EraseDevice' ? { confirm: { serial: watch.serial } } : {};
    const { commandUuid, state } = await admin('POST', path, { command, push: false, ...confirm });
    ordered.set(String(commandUuid), { udid: watch.udid });
    expect(state).toBe('pending');
    expect(await admin('GET', `${path}/${commandUuid}`)).toMatchObject({ state: 'pending', result: null });
    const { commands } = await watch.connect();
    expect(commands).toEqual([{ commandUuid, requestType: type, status: 'Acknowledged' }]);
    const shown = await admin('GET', `${path}/${commandUuid}`);
    const envelope = { CommandUUID: commandUuid, Status: 'Acknowledged', UDID: watch.udid };
    expect(shown).toMatchObject({
      requestType: type,
      state: 'acknowledged',
      status: 'Acknowledged',
      error: null,
    });
    expect(shown['result']).toEqual({ ...envelope, ...one.result });
    one.effect?.();
    expect(await waiting()).toEqual([]);
  });
});

describe('DeclarativeManagement', () => {
  it('is ordered without tokens of one’s own, and makes the watch look for what is current', async () => {
    const other = await pairedWatch(await assignedPhone());
    await quiet(other);
    const path = `devices/${other.udid}/commands`;
    const command = { RequestType: 'DeclarativeManagement' };
    const own = await adminReply('POST', path, { command: { ...command, Data: data(Buffer.from('{}')) } });
    expect([own.status, (own.body['errors'] as Json[])[0]?.['path']]).toEqual([422, '/command/Data']);
    const { commandUuid } = await admin('POST', path, { command, push: false });
    ordered.set(String(commandUuid), { udid: other.udid });
    const { sync } = await other.connect();
    expect(sync).not.toBeNull();
  });
});

describe('a command that watchOS lacks', () => {
  it('is refused with a reason, and nothing is queued', async () => {
    const other = await pairedWatch(await assignedPhone());
    await quiet(other);
    const all = await listEntries('command');
    const lacking = all.filter(({ platforms }) => platforms.watchOS === undefined).map(({ type }) => type);
    expect(lacking).toHaveLength(28);
    for (const RequestType of lacking) {
      const path = `devices/${other.udid}/commands`;
      for (const more of [{}, { allowUnknown: true }]) {
        const { status, body } = await adminReply('POST', path, { command: { RequestType }, ...more });
        expect([status, body['type']], RequestType).toEqual([
          422,
          'urn:escapement:problem:unsupported-command',
        ]);
        const [error] = body['errors'] as Json[];
        expect(error, RequestType).toMatchObject({ path: '/command/RequestType', expected: 'not watchOS' });
        expect(error?.['reason'], RequestType).toMatch(/\.$/);
      }
    }
    const queued = await env.DB.prepare(
      `SELECT request_type FROM commands WHERE udid = ?1 UNION ALL SELECT request_type FROM command_history WHERE udid = ?1`,
    )
      .bind(other.udid)
      .all<{ request_type: string }>();
    expect(queued.results.map((row) => row.request_type).filter((type) => lacking.includes(type))).toEqual(
      [],
    );
    expect((await other.connect()).commands).toEqual([]);
  });
});
