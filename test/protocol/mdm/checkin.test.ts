/** Check-in messages by the table in the facts: what each must carry, what it may, and what is refused. */
import { describe, expect, it } from 'vitest';
import { type CheckInMessage, parseCheckIn } from '../../../src/protocol/mdm/checkin.ts';
import { encodePlist, type PlistInput } from '../../../src/protocol/plist/encode.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import {
  bytesOf,
  data,
  type Message,
  readsBytesStrictly,
  readsFields,
  readValue,
  refusalOf,
  text,
} from './messages.ts';

const UDID = '00008301-000123456789ABCD';
const TOPIC = 'com.apple.mgmt.External.6c0b7c53-3e0b-4e3d-9e0e-0d3a6a1f5e11';
const PHONE = '00008110-001122334455667A';
const WATCH = UDID;

const authenticate: Message = {
  MessageType: 'Authenticate',
  Topic: TOPIC,
  UDID,
  OSVersion: '10.0',
  BuildVersion: '21R355',
  ProductName: 'Watch6,1',
  SerialNumber: 'ABCDEF123456',
  IMEI: '35 123456 123456 1',
  MEID: '35123456123456',
};
const tokenUpdate: Message = {
  MessageType: 'TokenUpdate',
  Topic: TOPIC,
  UDID,
  Token: bytesOf(32),
  PushMagic: '6C0B7C53-3E0B-4E3D-9E0E-0D3A6A1F5E11',
  UnlockToken: bytesOf(1200),
  AwaitingConfiguration: true,
};
const checkOut: Message = { MessageType: 'CheckOut', Topic: TOPIC, UDID };
const parameters = {
  SecurityToken: '6C0B7C53-3E0B-4E3D-9E0E-0D3A6A1F5E11',
  PhoneUDID: PHONE,
  WatchUDID: WATCH,
};
const getToken: Message = {
  MessageType: 'GetToken',
  UDID: PHONE,
  TokenServiceType: 'com.apple.watch.pairing',
  TokenParameters: parameters,
};
const declarative: Message = {
  MessageType: 'DeclarativeManagement',
  UDID,
  Endpoint: 'status',
  Data: utf8('{"StatusItems":{},"Errors":[]}'),
};
const setBootstrap: Message = { MessageType: 'SetBootstrapToken', UDID, BootstrapToken: bytesOf(64) };

const udid = { field: 'UDID', required: true, wrong: 5 };
const topic = text('Topic', 1024);

describe('Authenticate', () => {
  it('is read whole', () => {
    const raw = encodePlist(authenticate);
    expect(parseCheckIn(raw)).toEqual({
      ok: true,
      value: {
        type: 'Authenticate',
        udid: UDID,
        topic: TOPIC,
        serial: 'ABCDEF123456',
        osVersion: '10.0',
        buildVersion: '21R355',
        productName: 'Watch6,1',
        imei: '35 123456 123456 1',
        meid: '35123456123456',
        raw,
      },
    });
  });

  it('is read without what depends on access right 16, and with what other releases send', () => {
    const message = readValue(parseCheckIn, {
      MessageType: 'Authenticate',
      Topic: TOPIC,
      UDID,
      Challenge: bytesOf(16),
      DeviceName: 'Watch',
      ModelName: 'Apple Watch',
    });
    expect(message).toMatchObject({ type: 'Authenticate', serial: null, osVersion: null, productName: null });
  });

  it('refuses a serial number or UDID that is none', () => {
    expect(refusalOf(parseCheckIn, { ...authenticate, SerialNumber: 'a b' })).toMatchObject({
      field: 'SerialNumber',
      reason: 'malformed',
    });
    for (const bad of ['', 'short', '../../../../etc', 'x'.repeat(65), 'ABCDEFGH\n']) {
      expect(refusalOf(parseCheckIn, { ...authenticate, UDID: bad })).toMatchObject({
        field: 'UDID',
        reason: 'malformed',
      });
    }
  });

  readsBytesStrictly(parseCheckIn, authenticate);
  readsFields(parseCheckIn, authenticate, [
    udid,
    topic,
    { field: 'SerialNumber', required: false, wrong: 5 },
    ...['OSVersion', 'BuildVersion', 'ProductName', 'IMEI', 'MEID'].map((field) => text(field, 1024, false)),
  ]);
});

describe('TokenUpdate', () => {
  it('is read whole', () => {
    expect(readValue(parseCheckIn, tokenUpdate)).toMatchObject({
      type: 'TokenUpdate',
      token: bytesOf(32),
      pushMagic: '6C0B7C53-3E0B-4E3D-9E0E-0D3A6A1F5E11',
      unlockToken: bytesOf(1200),
      awaitingConfiguration: true,
    });
  });

  it('is read as a watch sends it, with a token of odd length and a magic that is no UUID', () => {
    const { UnlockToken, AwaitingConfiguration, ...watch } = tokenUpdate;
    const message = readValue(parseCheckIn, { ...watch, Token: bytesOf(33), PushMagic: "it's magic" });
    expect(message).toMatchObject({
      token: bytesOf(33),
      pushMagic: "it's magic",
      unlockToken: null,
      awaitingConfiguration: false,
    });
  });

  it('is refused when its base64 is damaged', () => {
    const body = new TextDecoder().decode(encodePlist(tokenUpdate)).replace('Bwc=</data>', 'Bwc</data>');
    expect(parseCheckIn(utf8(body))).toMatchObject({ ok: false, refusal: { reason: 'malformed data' } });
  });

  readsFields(parseCheckIn, tokenUpdate, [
    udid,
    topic,
    data('Token', 256),
    text('PushMagic', 256),
    data('UnlockToken', 64 * 1024, false),
    { field: 'AwaitingConfiguration', required: false, wrong: 'true' },
  ]);
});

describe('CheckOut', () => {
  it('is read', () => {
    expect(readValue(parseCheckIn, checkOut)).toMatchObject({ type: 'CheckOut', udid: UDID, topic: TOPIC });
  });
  readsFields(parseCheckIn, checkOut, [udid, topic]);
});

describe('GetToken', () => {
  it('is read with the parameters of watch pairing', () => {
    expect(readValue(parseCheckIn, getToken)).toMatchObject({
      type: 'GetToken',
      udid: PHONE,
      service: 'com.apple.watch.pairing',
      parameters: new Map(Object.entries(parameters)),
      watchPairing: { securityToken: parameters.SecurityToken, phoneUdid: PHONE, watchUdid: WATCH },
    });
  });

  it('of another service keeps its parameters unread', () => {
    const message = readValue(parseCheckIn, {
      ...getToken,
      TokenServiceType: 'com.apple.maid',
      TokenParameters: { x: 1 },
    });
    expect(message).toMatchObject({
      service: 'com.apple.maid',
      parameters: new Map([['x', 1]]),
      watchPairing: null,
    });
    const { TokenParameters, ...bare } = getToken;
    expect(readValue(parseCheckIn, { ...bare, TokenServiceType: 'com.apple.maid' })).toMatchObject({
      parameters: new Map(),
    });
  });

  it.each(['SecurityToken', 'PhoneUDID', 'WatchUDID'])('is refused without %s', (name) => {
    const rest: Record<string, PlistInput> = { ...parameters };
    delete rest[name];
    const field = `TokenParameters.${name}`;
    expect(refusalOf(parseCheckIn, { ...getToken, TokenParameters: rest })).toEqual({
      kind: 'malformed-message',
      field,
      reason: 'missing',
    });
    expect(refusalOf(parseCheckIn, { ...getToken, TokenParameters: { ...rest, [name]: 5 } })).toMatchObject({
      field,
      reason: 'wrong-type',
    });
    const { TokenParameters, ...bare } = getToken;
    expect(refusalOf(parseCheckIn, bare)).toMatchObject({
      field: 'TokenParameters.SecurityToken',
      reason: 'missing',
    });
  });

  it('is refused with a security token past 128 characters', () => {
    const long = { ...parameters, SecurityToken: 'x'.repeat(129) };
    expect(refusalOf(parseCheckIn, { ...getToken, TokenParameters: long })).toMatchObject({
      reason: 'too-long',
    });
  });

  readsBytesStrictly(parseCheckIn, getToken);
  readsFields(parseCheckIn, getToken, [
    udid,
    { field: 'TokenServiceType', required: true, wrong: 5, empty: '' },
  ]);

  it('is refused when its parameters are no dictionary', () => {
    expect(refusalOf(parseCheckIn, { ...getToken, TokenParameters: ['x'] })).toMatchObject({
      field: 'TokenParameters',
      reason: 'wrong-type',
    });
  });
});

describe('DeclarativeManagement', () => {
  it('is read with and without data', () => {
    expect(readValue(parseCheckIn, declarative)).toMatchObject({
      type: 'DeclarativeManagement',
      endpoint: 'status',
      data: declarative['Data'],
    });
    const { Data, ...tokens } = declarative;
    expect(readValue(parseCheckIn, { ...tokens, Endpoint: 'tokens' })).toMatchObject({
      endpoint: 'tokens',
      data: null,
    });
  });
  readsFields(parseCheckIn, declarative, [
    udid,
    text('Endpoint', 1024),
    data('Data', 4 * 1024 * 1024, false),
  ]);
});

describe('bootstrap tokens', () => {
  it('are set, and cleared by an empty or a missing one', () => {
    expect(readValue(parseCheckIn, setBootstrap)).toMatchObject({
      type: 'SetBootstrapToken',
      bootstrapToken: bytesOf(64),
    });
    expect(readValue(parseCheckIn, { ...setBootstrap, BootstrapToken: bytesOf(0) })).toMatchObject({
      bootstrapToken: null,
    });
    expect(readValue(parseCheckIn, { MessageType: 'SetBootstrapToken', UDID })).toMatchObject({
      bootstrapToken: null,
    });
  });
  it('are asked for', () => {
    expect(readValue(parseCheckIn, { MessageType: 'GetBootstrapToken', UDID })).toMatchObject({
      type: 'GetBootstrapToken',
      udid: UDID,
    });
  });
  readsFields(parseCheckIn, setBootstrap, [udid, data('BootstrapToken', 64 * 1024, false)]);
});

describe('what is not managed', () => {
  it('is a user channel, read as far as it takes to decline it', () => {
    const user = { ...tokenUpdate, UserID: 'F0F0', UserShortName: 'ann' };
    expect(readValue(parseCheckIn, user)).toMatchObject({
      type: 'UserChannel',
      messageType: 'TokenUpdate',
      userId: 'F0F0',
      udid: UDID,
    });
    expect(readValue(parseCheckIn, { ...declarative, UserID: 'F0F0' })).toMatchObject({
      type: 'UserChannel',
    });
    const asked = readValue(parseCheckIn, { MessageType: 'UserAuthenticate', UDID, UserID: 'F0F0' });
    expect(asked).toMatchObject({ type: 'UserAuthenticate', udid: UDID });
  });

  it('is user enrollment, refused by name', () => {
    const { UDID: _, ...rest } = authenticate;
    expect(refusalOf(parseCheckIn, { ...rest, EnrollmentID: 'E-1' })).toEqual({
      kind: 'enrollment-id-not-supported',
    });
  });

  it.each(['ReturnToService', 'authenticate', 'constructor'])('is the message type %s', (MessageType) => {
    expect(refusalOf(parseCheckIn, { MessageType, UDID })).toEqual({
      kind: 'unknown-message-type',
      messageType: MessageType,
    });
  });

  it('is a message without type, or with one that is no text', () => {
    expect(refusalOf(parseCheckIn, { UDID })).toEqual({
      kind: 'malformed-message',
      field: 'MessageType',
      reason: 'missing',
    });
    expect(refusalOf(parseCheckIn, { UDID, MessageType: 5 })).toMatchObject({
      field: 'MessageType',
      reason: 'wrong-type',
    });
  });
});

it('keeps the body beside every message', () => {
  for (const message of [authenticate, tokenUpdate, checkOut, getToken, declarative, setBootstrap]) {
    const raw = encodePlist(message);
    const parsed = parseCheckIn(raw);
    expect(parsed.ok && (parsed.value satisfies CheckInMessage).raw).toBe(raw);
  }
});
