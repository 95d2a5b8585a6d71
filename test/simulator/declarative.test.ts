/** Declarative management against a stand-in: what is fetched, what is applied, and the reasons that are reported. */
import { Buffer } from 'node:buffer';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  createDeviceCa,
  createWorld,
  type DeviceOptions,
  KeyPool,
  SimulatedPhone,
  type TraceEvent,
} from './index.ts';
import { StandIn } from './stand-in.ts';

const keys = new KeyPool({ size: 2 });
const deviceCa = createDeviceCa('Devices CA', keys.take());

let server: StandIn;
let trace: TraceEvent[];

async function enrolledPhone(options: DeviceOptions = {}): Promise<SimulatedPhone> {
  const world = createWorld({
    baseUrl: server.url,
    deviceCa,
    seed: 1,
    keys,
    send: server.send,
    trace: (event) => trace.push(event),
  });
  const phone = await SimulatedPhone.create(world, options);
  server.udid = phone.udid;
  await phone.enrollByLink(`${server.url}/link`);
  return phone;
}

beforeEach(() => {
  server = new StandIn();
  trace = [];
});

describe('declarative management', () => {
  const activation = (identifiers: string[], token = '1') => ({
    kind: 'activation' as const,
    document: {
      Type: 'com.apple.activation.simple',
      Identifier: 'act',
      ServerToken: token,
      Payload: { StandardConfigurations: identifiers },
    },
  });
  const configuration = (payload: object, token = '1') => ({
    kind: 'configuration' as const,
    document: {
      Type: 'com.apple.configuration.watch.enrollment',
      Identifier: 'conf',
      ServerToken: token,
      Payload: payload,
    },
  });
  const asset = (size: number) => ({
    kind: 'asset' as const,
    document: {
      Type: 'com.apple.asset.credential.certificate',
      Identifier: 'anchor',
      ServerToken: '1',
      Payload: {
        Reference: {
          DataURL: 'https://mdm.example.com/assets/anchor',
          ContentType: 'application/pkcs1',
          Size: size,
        },
        Authentication: { Type: 'MDM' },
      },
    },
  });
  const enrollment = { EnrollmentProfileURL: 'https://mdm.example.com/enroll/watch' };

  function assign(declarations: (typeof server)['declarations'], token: string): void {
    server.declarations = declarations;
    server.declarationsToken = token;
  }

  it('fetches, applies and reports; an equal token stops it', async () => {
    const phone = await enrolledPhone();
    server.assets.set('/assets/anchor', { type: 'application/pkcs1', data: server.ca.der });
    assign(
      [
        activation(['conf']),
        configuration({ ...enrollment, AnchorCertificateAssetReferences: ['anchor'] }),
        asset(server.ca.der.length),
      ],
      't1',
    );
    expect(await phone.sync()).toMatchObject({
      changed: true,
      fetched: ['act', 'conf', 'anchor'],
      reported: true,
    });
    expect(phone.watchEnrollmentUrl()).toBe(enrollment.EnrollmentProfileURL);
    expect(server.reports[0]).toMatchObject({
      FullReport: true,
      StatusItems: {
        management: {
          declarations: {
            configurations: [{ identifier: 'conf', 'server-token': '1', active: true, valid: 'valid' }],
            assets: [{ identifier: 'anchor', active: true, valid: 'valid' }],
          },
          'client-capabilities': { 'supported-versions': ['1.0.0'] },
        },
      },
    });
    expect(await phone.sync()).toEqual({ changed: false, fetched: [], removed: [], reported: false });
  });

  it('fetches only what changed, and drops what is gone', async () => {
    const phone = await enrolledPhone();
    assign([activation(['conf']), configuration(enrollment)], 't1');
    await phone.sync();
    assign([activation(['conf']), configuration(enrollment, '2')], 't2');
    expect((await phone.sync()).fetched).toEqual(['conf']);
    assign([], 't3');
    expect([...(await phone.sync()).removed].sort()).toEqual(['act', 'conf']);
    expect(phone.watchEnrollmentUrl()).toBeNull();
  });

  it.each([
    [
      'a missing configuration',
      [activation(['conf', 'gone']), configuration(enrollment)],
      'Error.MissingConfigurations',
    ],
    [
      'a missing asset',
      [activation(['conf']), configuration({ ...enrollment, AnchorCertificateAssetReferences: ['anchor'] })],
      'Error.MissingAssets',
    ],
    [
      'an asset that is not there',
      [
        activation(['conf']),
        configuration({ ...enrollment, AnchorCertificateAssetReferences: ['anchor'] }),
        asset(5),
      ],
      'Error.AssetCannotBeDownloaded',
    ],
    [
      'a configuration without its key',
      [activation(['conf']), configuration({})],
      'Error.ConfigurationIsInvalid',
    ],
    [
      'a plain http URL',
      [activation(['conf']), configuration({ EnrollmentProfileURL: 'http://mdm.example.com/' })],
      'Error.ConfigurationIsInvalid',
    ],
    ['no activation', [configuration(enrollment)], 'Info.NotReferencedByActivation'],
  ])('says why: %s', async (_what, declarations, code) => {
    const phone = await enrolledPhone();
    assign(declarations, 't1');
    await phone.sync();
    expect(JSON.stringify(server.reports)).toContain(`"code":"${code}"`);
    expect(phone.watchEnrollmentUrl()).toBeNull();
  });

  it('does not take watch enrollment on an unsupervised phone', async () => {
    const phone = await enrolledPhone({ supervised: false });
    assign([activation(['conf']), configuration(enrollment)], 't1');
    await phone.sync();
    expect(phone.watchEnrollmentUrl()).toBeNull();
    expect(JSON.stringify(server.reports)).toContain('Error.ConfigurationNotSupported');
  });

  it('starts when a command asks for it, with the tokens that came along', async () => {
    const phone = await enrolledPhone();
    assign([activation(['conf']), configuration(enrollment)], 't1');
    const tokens = { SyncTokens: { Timestamp: '2026-01-31T12:00:00Z', DeclarationsToken: 't1' } };
    server.queue.set('u1', {
      RequestType: 'DeclarativeManagement',
      Data: Buffer.from(JSON.stringify(tokens)),
    });
    const { sync } = await phone.connect();
    expect(sync?.changed).toBe(true);
    expect(trace.filter((event) => event.sent === 'tokens')).toEqual([]);
  });

  it('reports what was subscribed to, once', async () => {
    const phone = await enrolledPhone();
    const Type = 'com.apple.configuration.management.status-subscriptions';
    const Payload = { StatusItems: [{ Name: 'device.operating-system.version' }] };
    const subscription = {
      kind: 'configuration' as const,
      document: { Type, Identifier: 'conf', ServerToken: '1', Payload },
    };
    assign([activation(['conf']), subscription], 't1');
    await phone.sync();
    expect(JSON.stringify(server.reports)).toContain('"operating-system":{"version":"26.1"}');
    assign([activation(['conf'], '2'), subscription], 't2');
    await phone.sync();
    expect(JSON.stringify(server.reports[1])).not.toContain('operating-system":{"version');
  });

  it('activates by predicate, and says so at the next session when the answer changes', async () => {
    const phone = await enrolledPhone();
    const test = {
      kind: 'configuration' as const,
      document: {
        Type: 'com.apple.configuration.management.test',
        Identifier: 'conf',
        ServerToken: '1',
        Payload: { Echo: 'x' },
      },
    };
    const properties = (name: string, token: string) => ({
      kind: 'management' as const,
      document: {
        Type: 'com.apple.management.properties',
        Identifier: 'prop',
        ServerToken: token,
        Payload: { name },
      },
    });
    const conditional = activation(['conf']);
    const Predicate = "@status(passcode.is-present) == TRUE AND @property(name) IN {'on'}";
    Object.assign(conditional.document.Payload, { Predicate });
    const isActive = () => phone.declarations.find((one) => one.declaration.identifier === 'conf')?.active;
    assign([conditional, test, properties('on', '1')], 't1');
    await phone.sync();
    expect(isActive()).toBe(true);
    phone.facts.passcode = false;
    expect(await phone.connect()).toMatchObject({ commands: [], sync: null, reported: true });
    expect(isActive()).toBe(false);
    expect(server.reports.at(-1)).toMatchObject({
      StatusItems: {
        management: {
          declarations: {
            activations: [
              { identifier: 'act', active: false, valid: 'valid', reasons: [{ code: 'Info.Predicate' }] },
            ],
          },
        },
      },
    });
    expect((await phone.connect()).reported).toBe(false);
    phone.facts.passcode = true;
    await phone.connect();
    expect(isActive()).toBe(true);
    assign([conditional, test, properties('off', '2')], 't2');
    expect((await phone.sync()).fetched).toEqual(['prop']);
    expect(isActive()).toBe(false);
  });

  it.each([
    ['@status(passcode.is-present) ==', 'Error.UnableToParsePredicate'],
    ['@state(passcode.is-present) == TRUE', 'Error.UnableToParsePredicateWithCustomOperator'],
    ['@status(passcode.is-present) > "x"', 'Error.UnableToEvaluatePredicate'],
  ])('reports why it cannot tell: %s', async (Predicate, code) => {
    const phone = await enrolledPhone();
    const conditional = activation(['conf']);
    Object.assign(conditional.document.Payload, { Predicate });
    assign([conditional, configuration(enrollment)], 't1');
    await phone.sync();
    expect(JSON.stringify(server.reports)).toContain(`"code":"${code}"`);
    expect(phone.watchEnrollmentUrl()).toBeNull();
  });

  it('finishes what a session that broke off was asked for', async () => {
    const phone = await enrolledPhone();
    assign([activation(['conf']), configuration(enrollment)], 't1');
    const tokens = { SyncTokens: { Timestamp: '2026-01-31T12:00:00Z', DeclarationsToken: 't1' } };
    const command = { RequestType: 'DeclarativeManagement', Data: Buffer.from(JSON.stringify(tokens)) };
    server.queue.set('u1', command);
    let requests = 0;
    server.spoil = (path, response) => {
      if (path === '/mdm/checkin' && ++requests === 2) throw new Error('the connection broke');
      return response;
    };
    await expect(phone.connect()).rejects.toThrow('broke');
    expect(phone.declarations).toEqual([]);
    expect(await phone.connect()).toMatchObject({ commands: [], sync: { changed: true } });
    expect(phone.watchEnrollmentUrl()).not.toBeNull();
    expect((await phone.connect()).sync).toBeNull();
  });
});
