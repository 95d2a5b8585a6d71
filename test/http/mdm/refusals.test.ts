/**
 * Every refusal of the device protocol, reached by a real request: the status that the device sees and the kind in
 * the log. A status is an instruction (design section 5), so none of them carries a body, and none is 401.
 */
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { beforeAll, describe, expect, it } from 'vitest';
import refusalsSource from '../../../src/http/mdm/refusals.ts?raw';
import {
  DeviceKey,
  type PlistDict,
  SimulatedPhone,
  type SimulatedWatch,
  writePlist,
} from '../../simulator/index.ts';
import { withoutSubscriptions } from '../../support/device.ts';
import {
  certificateFor,
  criticalExtension,
  key,
  rebuilt,
  signature,
  withOtherContentType,
  withoutCertificates,
  withoutSigners,
  withTwoSigners,
} from '../../support/forged.ts';
import {
  admin,
  adminReply,
  assignedPhone,
  commandState,
  enrolledPhone,
  type Json,
  logged,
  logSince,
  order,
  pairedWatch,
  put,
  send,
  url,
} from '../../support/front-door.ts';
import { checkInvariants } from '../../support/invariants.ts';
import smallKeyPem from '../../vectors/scep/small.key.pem?raw';

beforeAll(withoutSubscriptions);

const small = DeviceKey.fromPem(smallKeyPem);
const reached = new Set<string>();
let phone: SimulatedPhone;
let watch: SimulatedWatch;
let gone: SimulatedPhone;
let goneCertificate: SimulatedPhone['certificate'];

beforeAll(async () => {
  phone = await assignedPhone();
  watch = await pairedWatch(phone);
  gone = await enrolledPhone();
  goneCertificate = gone.certificate;
  await gone.checkOut();
});

interface Case {
  readonly status: number;
  readonly kind: string;
  readonly reason?: string | RegExp;
  readonly path?: string;
  readonly message?: PlistDict;
  readonly body?: () => Uint8Array;
  /** The Mdm-Signature header; the phone's own unless told. */
  readonly signed?: (body: Uint8Array) => string | null;
}

const checkIn = (MessageType: string, more: PlistDict = {}): PlistDict => ({
  MessageType,
  UDID: phone.udid,
  ...more,
});
const idle = () => writePlist({ UDID: phone.udid, Status: 'Idle' });

async function refused({ status, kind, reason, path = '/mdm/connect', message, body, signed }: Case) {
  const bytes = message === undefined ? (body ?? idle)() : writePlist(message);
  const header = signed === undefined ? phone.mdmSignature(bytes) : signed(bytes);
  const from = logged.length;
  const reply = await put(path, bytes, header === null ? {} : { 'mdm-signature': header });
  const told = logSince(from).find((line) => line['event'] === 'device-refused');
  expect({ status: reply.status, kind: told?.['refusal'] }).toEqual({ status, kind });
  expect((await reply.arrayBuffer()).byteLength, 'bytes in the body').toBe(0);
  if (reason !== undefined) expect(told?.['reason']).toMatch(reason);
  reached.add(kind);
}

describe('a signature that is missing, garbled or somebody else’s', () => {
  it.each<[string, Omit<Case, 'message'>]>([
    ['is missing', { status: 403, kind: 'signature-missing', signed: () => null }],
    ['is empty', { status: 400, kind: 'malformed-cms', signed: () => '' }],
    ['is no base64', { status: 400, kind: 'malformed-header', signed: () => 'not base64!' }],
    [
      'is longer than 16 KiB',
      { status: 400, kind: 'malformed-header', reason: 'too long', signed: () => 'A'.repeat(16 * 1024 + 4) },
    ],
    [
      'is base64 of something else',
      { status: 400, kind: 'malformed-cms', signed: () => btoa('hello there') },
    ],
    [
      'is cut off',
      { status: 400, kind: 'malformed-cms', signed: (body) => phone.mdmSignature(body).slice(0, 400) },
    ],
    [
      'has bytes after it',
      {
        status: 400,
        kind: 'malformed-cms',
        signed: (body) =>
          Buffer.concat([Buffer.from(phone.mdmSignature(body), 'base64'), Buffer.from([0])]).toString(
            'base64',
          ),
      },
    ],
    [
      'came with its content attached',
      {
        status: 400,
        kind: 'malformed-cms',
        reason: 'content is not detached',
        signed: (body) => signature(body, certificateFor(phone.udid), { detached: false }),
      },
    ],
    [
      'has no certificate',
      {
        status: 403,
        kind: 'signer-missing',
        signed: (body) => rebuilt(phone.mdmSignature(body), withoutCertificates),
      },
    ],
    [
      'has no signer',
      {
        status: 403,
        kind: 'signer-count',
        signed: (body) => rebuilt(phone.mdmSignature(body), withoutSigners),
      },
    ],
    [
      'has two signers',
      {
        status: 403,
        kind: 'signer-count',
        signed: (body) => rebuilt(phone.mdmSignature(body), withTwoSigners),
      },
    ],
    [
      'is of another content type',
      {
        status: 403,
        kind: 'content-type-mismatch',
        signed: (body) => rebuilt(phone.mdmSignature(body), withOtherContentType),
      },
    ],
    [
      'is by an RSA-1024 key',
      {
        status: 403,
        kind: 'algorithm-not-allowed',
        signed: (body) => signature(body, certificateFor(phone.udid, { spki: small.spki }), { key: small }),
      },
    ],
    [
      'is over another body',
      { status: 403, kind: 'digest-mismatch', signed: () => phone.mdmSignature(Buffer.from('another')) },
    ],
    [
      'is over another body, in the old dressing',
      {
        status: 403,
        kind: 'signature-invalid',
        signed: () => phone.mdmSignature(Buffer.from('another'), 'legacy'),
      },
    ],
    [
      'is by a certificate that signed itself',
      {
        status: 403,
        kind: 'chain-incomplete',
        signed: (body) =>
          signature(body, certificateFor(phone.udid, { issuer: [['2.5.4.3', 'me']], signWith: key })),
      },
    ],
    [
      'is by a certificate that only claims our authority',
      {
        status: 403,
        kind: 'chain-signature-invalid',
        signed: (body) => signature(body, certificateFor(phone.udid, { signWith: key })),
      },
    ],
    [
      'is by a certificate of ours signed with SHA-1',
      {
        status: 403,
        kind: 'chain-algorithm',
        signed: (body) => signature(body, certificateFor(phone.udid, { hash: 'SHA-1' })),
      },
    ],
    [
      'is by a certificate with an unknown critical extension',
      {
        status: 403,
        kind: 'chain-constraint',
        signed: (body) => signature(body, certificateFor(phone.udid, { extensions: [criticalExtension] })),
      },
    ],
    [
      'is by a certificate of ours that names no device',
      { status: 403, kind: 'subject-without-udid', signed: (body) => signature(body, certificateFor(null)) },
    ],
    [
      'is by a device that never enrolled',
      {
        status: 403,
        kind: 'not-enrolled',
        body: () => writePlist({ UDID: 'NEVER-ENROLLED', Status: 'Idle' }),
        signed: (body) => signature(body, certificateFor('NEVER-ENROLLED')),
      },
    ],
    [
      'is by a certificate of ours that is not the pinned one',
      { status: 403, kind: 'pin-mismatch', signed: (body) => signature(body, certificateFor(phone.udid)) },
    ],
    [
      'is by another device of ours',
      { status: 403, kind: 'udid-mismatch', signed: (body) => watch.mdmSignature(body) },
    ],
    [
      'is by the device itself, which checked out',
      {
        status: 403,
        kind: 'checked-out',
        body: () => writePlist({ UDID: gone.udid, Status: 'Idle' }),
        signed: (body) => sign(gone, goneCertificate, body),
      },
    ],
  ])('%s', (_sentence, how) => refused(how));

  it('on check-in is judged by the same rules', async () => {
    const path = '/mdm/checkin';
    await refused({
      path,
      status: 403,
      kind: 'signature-missing',
      message: checkIn('CheckOut', { Topic: 'x' }),
      signed: () => null,
    });
    await refused({
      path,
      status: 403,
      kind: 'udid-mismatch',
      message: checkIn('CheckOut', { Topic: 'x' }),
      signed: (body) => watch.mdmSignature(body),
    });
    const forged = (body: Uint8Array) => signature(body, certificateFor(phone.udid));
    const update = checkIn('TokenUpdate', { Topic: 'x', Token: Buffer.from('t'), PushMagic: 'm' });
    await refused({ path, status: 403, kind: 'pin-mismatch', message: update, signed: forged });
    await refused({
      path,
      status: 403,
      kind: 'pin-mismatch',
      message: checkIn('CheckOut', { Topic: 'x' }),
      signed: forged,
    });
    await refused({
      path,
      status: 403,
      kind: 'identity-unknown',
      message: checkIn('Authenticate', { Topic: 'x' }),
      signed: forged,
    });
    for (const Endpoint of ['tokens', 'declaration-items', 'status', 'declaration/asset/x']) {
      const message = checkIn('DeclarativeManagement', {
        Endpoint,
        Data: Buffer.from('{"StatusItems":{},"Errors":[]}'),
      });
      await refused({ path, status: 403, kind: 'pin-mismatch', message, signed: forged });
    }
  });
});

/** The forged key is one of the pool, and the certificate is what counts. */
function sign(device: SimulatedPhone, certificate: SimulatedPhone['certificate'], body: Uint8Array): string {
  const own = [key, ...Array.from({ length: 3 }, () => device.world.keys.take())].find((one) =>
    one.spki.equals(certificate!.spki),
  );
  return signature(body, certificate!, { key: own! });
}

describe('a message that cannot be read or asks for what there is not', () => {
  const tokens = { Topic: 'x', Token: Buffer.from('t'), PushMagic: 'm' };
  const path = '/mdm/checkin';
  it.each<[string, () => Omit<Case, 'signed'>]>([
    [
      'no property list',
      () => ({ path, status: 400, kind: 'malformed-plist', body: () => Buffer.from('hello') }),
    ],
    ['nothing at all', () => ({ path, status: 400, kind: 'malformed-plist', body: () => Buffer.alloc(0) })],
    [
      'a property list of an array',
      () => ({ path, status: 400, kind: 'malformed-plist', body: () => writePlist(['x']) }),
    ],
    [
      'bytes after the document',
      () => ({
        path,
        status: 400,
        kind: 'malformed-plist',
        body: () => Buffer.concat([writePlist(checkIn('CheckOut')), Buffer.from('x')]),
      }),
    ],
    [
      'no MessageType',
      () => ({
        path,
        status: 400,
        kind: 'malformed-message',
        reason: /missing/,
        message: { UDID: phone.udid },
      }),
    ],
    [
      'no UDID',
      () => ({
        path,
        status: 400,
        kind: 'malformed-message',
        message: { MessageType: 'TokenUpdate', ...tokens },
      }),
    ],
    [
      'a UDID of another type',
      () => ({ path, status: 400, kind: 'malformed-message', message: { MessageType: 'CheckOut', UDID: 7 } }),
    ],
    [
      'Authenticate without Topic',
      () => ({ path, status: 400, kind: 'malformed-message', message: checkIn('Authenticate') }),
    ],
    [
      'TokenUpdate without Token',
      () => ({
        path,
        status: 400,
        kind: 'malformed-message',
        message: checkIn('TokenUpdate', { Topic: 'x', PushMagic: 'm' }),
      }),
    ],
    [
      'TokenUpdate without PushMagic',
      () => ({
        path,
        status: 400,
        kind: 'malformed-message',
        message: checkIn('TokenUpdate', { Topic: 'x', Token: Buffer.from('t') }),
      }),
    ],
    [
      'GetToken without its service',
      () => ({ path, status: 400, kind: 'malformed-message', message: checkIn('GetToken') }),
    ],
    [
      'GetToken for watches without parameters',
      () => ({
        path,
        status: 400,
        kind: 'malformed-message',
        message: checkIn('GetToken', { TokenServiceType: 'com.apple.watch.pairing' }),
      }),
    ],
    [
      'DeclarativeManagement without Endpoint',
      () => ({ path, status: 400, kind: 'malformed-message', message: checkIn('DeclarativeManagement') }),
    ],
    [
      'an EnrollmentID instead of a UDID',
      () => ({
        path,
        status: 400,
        kind: 'enrollment-id-not-supported',
        message: { MessageType: 'CheckOut', EnrollmentID: 'x' },
      }),
    ],
    [
      'a MessageType that nobody knows',
      () => ({ path, status: 400, kind: 'unknown-message-type', message: checkIn('ReturnToService') }),
    ],
    [
      'a message of a user channel',
      () => ({
        path,
        status: 400,
        kind: 'user-channel',
        message: checkIn('TokenUpdate', { ...tokens, UserID: 'u' }),
      }),
    ],
    [
      'UserAuthenticate',
      () => ({
        path,
        status: 410,
        kind: 'user-channel-declined',
        message: checkIn('UserAuthenticate', { UserID: 'u' }),
      }),
    ],
    [
      'an endpoint that nobody knows',
      () => ({
        path,
        status: 400,
        kind: 'unknown-endpoint',
        message: checkIn('DeclarativeManagement', { Endpoint: 'everything' }),
      }),
    ],
    [
      'a status report that is no JSON',
      () => ({
        path,
        status: 400,
        kind: 'status-malformed',
        message: checkIn('DeclarativeManagement', { Endpoint: 'status', Data: Buffer.from('{') }),
      }),
    ],
    [
      'a status report without data',
      () => ({
        path,
        status: 400,
        kind: 'status-malformed',
        message: checkIn('DeclarativeManagement', { Endpoint: 'status' }),
      }),
    ],
    [
      'a status report with an item of another type',
      () => ({
        path,
        status: 400,
        kind: 'status-malformed',
        reason: 'mdm.app',
        message: checkIn('DeclarativeManagement', {
          Endpoint: 'status',
          Data: Buffer.from('{"StatusItems":{"mdm":{"app":{}}}}'),
        }),
      }),
    ],
    [
      'a status report with more than is kept',
      () => ({
        path,
        status: 400,
        kind: 'status-too-large',
        reason: 'bytes',
        message: checkIn('DeclarativeManagement', {
          Endpoint: 'status',
          Data: Buffer.from(`{"StatusItems":{"x":"${'x'.repeat(1024 * 1024)}"}}`),
        }),
      }),
    ],
    [
      'a token service that nobody knows',
      () => ({
        path,
        status: 400,
        kind: 'token-service-unknown',
        message: checkIn('GetToken', { TokenServiceType: 'com.apple.maid' }),
      }),
    ],
    [
      'a pairing token for a challenge that nobody issued',
      () => ({
        path,
        status: 400,
        kind: 'pairing-token-refused',
        reason: 'challenge-unknown',
        message: getToken(),
      }),
    ],
    [
      'a pairing token for another phone',
      () => ({
        path,
        status: 400,
        kind: 'pairing-token-refused',
        reason: 'phone-mismatch',
        message: getToken('PHONE-9999'),
      }),
    ],
    [
      'a declaration that it is not to hold',
      () => ({
        path,
        status: 404,
        kind: 'unknown-declaration',
        message: checkIn('DeclarativeManagement', { Endpoint: 'declaration/configuration/none' }),
      }),
    ],
    [
      'a report without Status',
      () => ({ status: 400, kind: 'malformed-message', message: { UDID: phone.udid } }),
    ],
    [
      'a report with a Status that nobody knows',
      () => ({ status: 400, kind: 'malformed-message', message: { UDID: phone.udid, Status: 'Busy' } }),
    ],
    [
      'a report with a CommandUUID of spaces',
      () => ({
        status: 400,
        kind: 'malformed-message',
        message: { UDID: phone.udid, Status: 'Acknowledged', CommandUUID: ' ' },
      }),
    ],
    [
      'a report of a user channel',
      () => ({
        status: 400,
        kind: 'user-channel',
        message: { UDID: phone.udid, Status: 'Idle', UserID: 'u' },
      }),
    ],
    [
      'a report with an EnrollmentID',
      () => ({
        status: 400,
        kind: 'enrollment-id-not-supported',
        message: { EnrollmentID: 'x', Status: 'Idle' },
      }),
    ],
    [
      'a report that is no property list',
      () => ({ status: 400, kind: 'malformed-plist', body: () => Buffer.from('{}') }),
    ],
  ])('%s', (_sentence, how) => refused(how()));

  function getToken(PhoneUDID = phone.udid): PlistDict {
    const TokenParameters = { SecurityToken: 'never-issued', PhoneUDID, WatchUDID: 'WATCH-9999' };
    return checkIn('GetToken', { TokenServiceType: 'com.apple.watch.pairing', TokenParameters });
  }
});

it('a serial number at Authenticate that the credential was not for is refused', async () => {
  const other = await enrolledPhone();
  const { body } = await adminReply('POST', 'enrollment-links', {
    udid: other.udid,
    serial: other.serial,
    platform: 'iOS',
    signed: false,
  });
  const reply = await send(new Request(String(body['url'])));
  await other.installIdentity(Buffer.from(await reply.arrayBuffer()));
  const message = { MessageType: 'Authenticate', UDID: other.udid, Topic: 'x', SerialNumber: 'ANOTHER1' };
  const signed = (bytes: Uint8Array) => other.mdmSignature(bytes);
  await refused({ path: '/mdm/checkin', status: 403, kind: 'serial-mismatch', message, signed });
  await other.authenticate();
});

it('a live watch is not replaced by a certificate for an iPhone of its UDID', async () => {
  const { udid, serial } = watch;
  const { body } = await adminReply('POST', 'enrollment-links', {
    udid,
    serial,
    platform: 'iOS',
    signed: false,
  });
  const reply = await send(new Request(String(body['url'])));
  const impostor = await SimulatedPhone.create(phone.world, { udid, serial });
  await impostor.installIdentity(Buffer.from(await reply.arrayBuffer()));
  const message = { MessageType: 'Authenticate', UDID: udid, Topic: 'x', SerialNumber: serial };
  const signed = (bytes: Uint8Array) => impostor.mdmSignature(bytes);
  await refused({ path: '/mdm/checkin', status: 403, kind: 'enrollment-live', message, signed });
});

it('a result that cannot be read three times over is given up, and the queue goes on', async () => {
  const uuids = [await order(watch, 'SecurityInfo'), await order(watch, 'ProfileList')];
  const report = async (body: Buffer) =>
    put('/mdm/connect', body, { 'mdm-signature': watch.mdmSignature(body) });
  const idle = writePlist({ UDID: watch.udid, Status: 'Idle' });
  expect((await report(idle)).status).toBe(200);
  const garbled = Buffer.from('<plist><dict><key>CommandUUID</key>');
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) statuses.push((await report(garbled)).status);
  expect(statuses).toEqual([400, 400, 200]);
  expect(await commandState(watch, uuids[0]!)).toBe('error');
  expect((await watch.connect()).commands).toMatchObject([{ commandUuid: uuids[1] }]);
});

describe('limits', () => {
  const padded = (message: PlistDict, size: number) => {
    const plain = writePlist(message);
    return Buffer.concat([plain, Buffer.alloc(size - plain.length, ' ')]);
  };

  it.each([
    ['/mdm/connect', 1024 * 1024],
    ['/mdm/checkin', 1024 * 1024],
  ])('%s takes a message of 1 MiB and not a byte more', async (path, size) => {
    const message =
      path === '/mdm/connect'
        ? { UDID: phone.udid, Status: 'Idle' }
        : checkIn('TokenUpdate', {
            Topic: 'x',
            Token: Buffer.from('t'.repeat(32)),
            PushMagic: 'magic-at-the-limit',
          });
    const body = padded(message, size);
    expect((await put(path, body, { 'mdm-signature': phone.mdmSignature(body) })).status).toBe(200);
    await refused({ path, status: 413, kind: 'body-too-large', body: () => padded(message, size + 1) });
  });

  it('a status report may have 4 MiB', async () => {
    const report = `{"StatusItems":{},"Errors":[]}`.padEnd(4 * 1024 * 1024);
    const message = (data: string) =>
      checkIn('DeclarativeManagement', { Endpoint: 'status', Data: Buffer.from(data) });
    const body = writePlist(message(report));
    expect((await put('/mdm/checkin', body, { 'mdm-signature': phone.mdmSignature(body) })).status).toBe(200);
    await refused({
      path: '/mdm/checkin',
      status: 400,
      kind: 'malformed-message',
      message: message(`${report} `),
    });
    await refused({
      path: '/mdm/checkin',
      status: 413,
      kind: 'body-too-large',
      body: () => padded(message('x'), 6 * 1024 * 1024),
    });
  });

  it('hold for a body that does not say how long it is', async () => {
    const body = padded({ UDID: phone.udid, Status: 'Idle' }, 4 * 1024 * 1024 + 1);
    const stream = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 65_536) controller.enqueue(body.subarray(at, at + 65_536));
        controller.close();
      },
    });
    const request = new Request(`${url}/mdm/connect`, { method: 'PUT', body: stream });
    expect((await send(request)).status).toBe(413);
  });

  it('a body that breaks off is refused', async () => {
    const { default: worker } = await import('../../../src/index.ts');
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('<plist'));
        controller.error(new Error('the peer went away'));
      },
    });
    const from = logged.length;
    const request = new Request(`${url}/mdm/connect`, { method: 'PUT', body: stream });
    const reply = await worker.fetch(request, env as Env, {} as ExecutionContext);
    expect(reply.status).toBe(400);
    reached.add(String(logSince(from)[0]?.['refusal']));
  });
});

describe('an asset', () => {
  it.each([
    ['without a signature', 403, 'signature-missing', null],
    [
      'signed by a certificate that is not pinned',
      403,
      'pin-mismatch',
      () => signature(Buffer.alloc(0), certificateFor(phone.udid)),
    ],
    ['that the device is not to hold', 404, 'asset-not-held', () => phone.mdmSignature(Buffer.alloc(0))],
  ])('%s is refused', async (_sentence, status, kind, header) => {
    const from = logged.length;
    const headers: Record<string, string> = header === null ? {} : { 'mdm-signature': header() };
    const reply = await send(new Request(`${url}/ddm/assets/com.escapement.anchor.none`, { headers }));
    expect(reply.status).toBe(status);
    const told = logSince(from).find((line: Json) => line['event'] === 'device-refused');
    expect(told?.['refusal']).toBe(kind);
    reached.add(kind);
  });
});

describe('a download', () => {
  const edge = (digest: string, certVerified: string) => ({
    tlsClientAuth: { certPresented: '1', certVerified, certRevoked: '0', certFingerprintSHA256: digest },
  });
  it.each([
    ['of a profile that the device is not to hold', 404, 'profile-not-held', null],
    [
      'with a certificate that the edge refused',
      403,
      'edge-certificate-refused',
      edge('ab'.repeat(32), 'NONE'),
    ],
    ['with a certificate of nobody', 403, 'edge-certificate-unknown', edge('ab'.repeat(32), 'SUCCESS')],
  ])('%s is refused', async (_sentence, status, kind, cf) => {
    const from = logged.length;
    const headers: Record<string, string> =
      cf === null ? { 'mdm-signature': phone.mdmSignature(Buffer.alloc(0)) } : {};
    const init = { headers, ...(cf === null ? {} : { cf }) } as RequestInit;
    const reply = await send(new Request(`${url}/ddm/profiles/com.example.none`, init));
    expect([reply.status, (await reply.arrayBuffer()).byteLength]).toEqual([status, 0]);
    const told = logSince(from).find((line: Json) => line['event'] === 'device-refused');
    expect(told?.['refusal']).toBe(kind);
    reached.add(kind);
  });
});

it('every kind that the table names was reached, but for those that an earlier check keeps away', () => {
  const named = [...refusalsSource.matchAll(/case '([a-z-]+)'/g)].map((match) => match[1] as string);
  const unreachable = ['chain-too-long', 'certificate-expired', 'certificate-not-yet-valid'];
  expect(named.filter((kind) => !reached.has(kind))).toEqual(unreachable);
  expect([...reached].filter((kind) => !named.includes(kind))).toEqual([]);
});

it('after all of this the phone and the watch are as they were', async () => {
  expect((await phone.connect()).commands).toEqual([]);
  expect((await watch.connect()).commands).toEqual([]);
  for (const device of [phone, watch])
    expect(await admin('GET', `devices/${device.udid}`)).toMatchObject({ state: 'enrolled' });
  await checkInvariants();
});
