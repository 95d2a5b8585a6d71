/** What can be wrong with a deployment is told at once, by the setting's name and never by its value. */
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../src/config.ts';
import worker from '../src/index.ts';
import { sha256Hex } from '../src/pki/digest.ts';
import { Fault } from '../src/std/outcome.ts';
import { enrolledDevice } from './support/device.ts';

const own = env as Env;
const broken = (over: Partial<Record<keyof Env, unknown>>) => ({ ...own, ...over }) as Env;
const A_DIGEST = '74b67db15c23cc36ab2a356bd1ec2dcb27542e5509b757a9162dbbbe424a4e7c';
const APPLE_ROOT_SPKI = 'eb4993efa9b089e593418aa893f8e93a7374d810e52fcbe01e7f1d7e92a6d024';
const MARK = 'kX7mark-that-must-not-be-told';

const lines: string[] = [];
vi.spyOn(console, 'log').mockImplementation((line: string) => {
  lines.push(line);
});
afterEach(() => {
  lines.length = 0;
});

async function faultOf(over: Partial<Record<keyof Env, unknown>>): Promise<string> {
  try {
    await readConfig(broken(over));
  } catch (error) {
    if (error instanceof Fault && error.code === 'configuration') return error.message;
    throw error;
  }
  return 'none';
}

describe('a configuration', () => {
  it('that is whole is taken', async () => {
    const config = await readConfig(own);
    expect(config).toMatchObject({
      environment: 'local',
      publicUrl: own.PUBLIC_URL,
      pushTopic: own.PUSH_TOPIC,
      pairingTokenSeconds: 600,
      accessRights: 8191,
      trustedIssuers: [],
      anchorsArePublished: false,
    });
    expect(JSON.stringify(config)).not.toContain(own.ADMIN_KEY);
  });

  it.each<[keyof Env, unknown[]]>([
    ['ENVIRONMENT', [undefined, '', 'staging', 'Local']],
    [
      'PUBLIC_URL',
      [
        undefined,
        '',
        'mdm.example.com',
        'https://mdm.example.com/',
        'https://mdm.example.com/mdm',
        'ftp://x',
      ],
    ],
    ['ORGANIZATION', [undefined, '', 'x'.repeat(65)]],
    ['PUSH_TOPIC', [undefined, '', 'com.apple.mgmt.', 'com.example.x', `com.apple.mgmt.${'x'.repeat(201)}`]],
    ['ADMIN_KEY', [undefined, '']],
    ['CA_CERTIFICATE', [undefined, '']],
    ['CA_KEY', [undefined, '']],
    ['STORAGE_KEY', [undefined, '']],
    ['TOKEN_KEYS', [undefined, '']],
    [
      'TRUSTED_ISSUERS',
      [
        '',
        '{',
        '{}',
        '[1]',
        '[{"issuer":"x"}]',
        '[{"issuer":"x","jwksUrl":"http://x"}]',
        '[{"issuer":"","jwksUrl":"https://x"}]',
      ],
    ],
    ['DEVICE_ANCHORS', [undefined, '', MARK, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----']],
    ['PAIRING_TOKEN_SECONDS', ['0', '601', '1.5', 'ten', '']],
    ['ACCESS_RIGHTS', ['', '0', '2', '128', '8190', '8192', '-1', '1.0', 'all']],
  ])('with a wrong %s is refused by its name', async (name, values) => {
    for (const value of values)
      expect(await faultOf({ [name]: value }), String(value)).toContain(`${name}: `);
  });

  it('takes http only locally and only towards this machine', async () => {
    expect(await faultOf({ PUBLIC_URL: 'http://127.0.0.1:8787' })).toBe('none');
    expect(await faultOf({ PUBLIC_URL: 'http://mdm.example.com' })).toContain('PUBLIC_URL');
    expect(await faultOf({ PUBLIC_URL: 'http://127.0.0.1:8787', ENVIRONMENT: 'production' })).toContain(
      'PUBLIC_URL',
    );
  });

  it('in production takes no simulated anchors', async () => {
    expect(await faultOf({ ENVIRONMENT: 'production' })).toContain(
      'DEVICE_ANCHORS: production takes only anchors that Apple publishes',
    );
  });

  it('under simulated anchors takes those alone as makers of device identities', async () => {
    const config = await readConfig(own);
    expect(config.deviceIssuers).toEqual(
      await Promise.all(config.deviceAnchors.map(({ spki }) => sha256Hex(spki))),
    );
  });

  it('takes the makers of device identities that it is told', async () => {
    const told = { DEVICE_ISSUERS: ` ${A_DIGEST},\n${'0'.repeat(64)} ` };
    expect((await readConfig({ ...own, ...told })).deviceIssuers).toEqual([A_DIGEST, '0'.repeat(64)]);
    for (const wrong of [
      '',
      ' , ',
      A_DIGEST.toUpperCase(),
      A_DIGEST.slice(1),
      `${A_DIGEST};`,
      APPLE_ROOT_SPKI,
    ])
      expect(await faultOf({ DEVICE_ISSUERS: wrong } as object), wrong).toContain('DEVICE_ISSUERS: ');
  });

  it('grants in profiles, and judges commands by, the access rights that it has', async () => {
    const few = { ...own, ACCESS_RIGHTS: `${8191 - 8}` };
    const api = async (path: string, json: object) => {
      const headers = { Authorization: `Bearer ${own.ADMIN_KEY}`, 'Content-Type': 'application/json' };
      const init = { method: 'POST', headers, body: JSON.stringify(json) };
      const request = new Request(`${own.PUBLIC_URL}/api/v1${path}`, init);
      return (await worker.fetch(request, few, {} as ExecutionContext)).json<Record<string, string>>();
    };
    const link = { udid: 'DEVICE-OF-FEW-RIGHTS', serial: 'SERIAL0001', platform: 'iOS', signed: false };
    const { url = '' } = await api('/enrollment-links', link);
    const profile = await worker.fetch(new Request(url), few, {} as ExecutionContext);
    expect(await profile.text()).toMatch(/<key>AccessRights<\/key>\s*<integer>8183<\/integer>/);
    const device = await enrolledDevice();
    const erase = { command: { RequestType: 'EraseDevice' }, confirm: { serial: 'SERIAL0001' }, push: false };
    const path = `/devices/${device.udid}/commands`;
    expect((await api(path, erase))['detail']).toBe('EraseDevice: the access right AllowDeviceErase (8).');
    expect(await api(path, { command: { RequestType: 'DeviceLock' }, push: false })).toMatchObject({
      state: 'pending',
    });
  });

  it('with several things wrong has all of them told', async () => {
    const fault = await faultOf({ ORGANIZATION: '', PUSH_TOPIC: 'x', ADMIN_KEY: '' });
    for (const name of ['ORGANIZATION', 'PUSH_TOPIC', 'ADMIN_KEY']) expect(fault).toContain(name);
  });
});

describe('a Worker with a broken configuration', () => {
  const paths = [
    '/mdm/connect',
    '/mdm/checkin',
    '/enroll/watch',
    '/scep?operation=GetCACaps',
    '/api/v1/devices',
    '/nowhere',
  ];

  it.each<[string, Partial<Record<keyof Env, string>>]>([
    ['an organization too long', { ORGANIZATION: MARK.repeat(5) }],
    ['a public URL of another kind', { PUBLIC_URL: `ftp://${MARK}` }],
    ['issuers that are no JSON', { TRUSTED_ISSUERS: `{"${MARK}` }],
    ['an administrator key too short', { ADMIN_KEY: MARK.slice(0, 12) }],
    ['an administrator key of odd characters', { ADMIN_KEY: `${MARK} ü` }],
    ['a storage key that is no base64', { STORAGE_KEY: MARK }],
    ['a storage key too short', { STORAGE_KEY: btoa(MARK) }],
    ['token keys that are no JSON', { TOKEN_KEYS: MARK }],
    ['token keys that are no keys', { TOKEN_KEYS: `{"keys":["${MARK}"]}` }],
    ['token keys of another kind', { TOKEN_KEYS: `{"keys":[{"kty":"oct","kid":"a","k":"${MARK}"}]}` }],
    ['a token key with a bad number', { TOKEN_KEYS: own.TOKEN_KEYS.replace(/"d":"[^"]+"/, `"d":"${MARK}"`) }],
    ['an authority key that is no PEM', { CA_KEY: MARK }],
    [
      'an authority key that is PEM of something else',
      { CA_KEY: `-----BEGIN PRIVATE KEY-----\n${btoa(MARK)}\n-----END PRIVATE KEY-----` },
    ],
    ['the key of another authority', { CA_KEY: env.TEST_DEVICE_CA.key }],
    ['an authority certificate that is none', { CA_CERTIFICATE: MARK }],
  ])('(%s) answers 503 everywhere, and tells no value', async (_sentence, over) => {
    const bad = broken(over);
    for (const path of [...paths, '/healthz']) {
      const request = new Request(
        `https://mdm.example.com${path}`,
        path.startsWith('/mdm') ? { method: 'PUT' } : {},
      );
      const reply = await worker.fetch(request, bad, {} as ExecutionContext);
      expect([path, reply.status, reply.headers.get('retry-after')]).toEqual([path, 503, '30']);
      const said = (await reply.text()) + lines.join('\n') + JSON.stringify([...reply.headers]);
      for (const value of Object.values(over)) expect(said).not.toContain(value);
      for (const part of [MARK.slice(0, 10), btoa(MARK).slice(0, 12)]) expect(said).not.toContain(part);
    }
    expect(lines.some((line) => line.includes('"fault"'))).toBe(true);
  });

  it('has /healthz name the settings', async () => {
    const bad = broken({ ORGANIZATION: '', PUSH_TOPIC: MARK });
    const reply = await worker.fetch(new Request('https://x/healthz'), bad, {} as ExecutionContext);
    const told = (await reply.json()) as { status: string; faults: string[] };
    expect(told.status).toBe('misconfigured');
    expect(told.faults.map((fault) => fault.split(':')[0])).toEqual(['ORGANIZATION', 'PUSH_TOPIC']);
  });
});
