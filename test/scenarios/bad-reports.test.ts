/**
 * Status reports that make no sense, from an enrolled watch through the front door. Each is refused with a status that
 * neither unenrolls a device nor makes it drop anything, and everything stored is bit for bit what it was; a good
 * report is taken right after.
 */

import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listEntries } from '../../src/protocol/catalog/catalog.ts';
import type { SimulatedWatch } from '../simulator/index.ts';
import { writePlist } from '../simulator/plist.ts';
import { admin, assignedPhone, type Json, pairedWatch } from '../support/front-door.ts';
import { checkInvariants, readD1, readObject, settle } from '../support/invariants.ts';

const GOOD = {
  StatusItems: {
    device: { 'operating-system': { version: '27.0', 'build-version': '24R1' }, model: { family: 'Watch' } },
    passcode: { 'is-present': true, 'is-compliant': false },
    mdm: { app: [{ identifier: 'com.example.a', state: 'managed' }, { identifier: 'com.example.b' }] },
    test: { 'array-value': [{ key1: 'a' }], 'integer-value': 42, 'real-value': 2.5, 'string-value': 'é水😀' },
  },
  Errors: [{ StatusItem: 'test.error-value', Reasons: [{ Code: 'Error.Unknown', Details: { n: 1 } }] }],
  FullReport: false,
};

let watch: SimulatedWatch;
beforeAll(async () => {
  const phone = await assignedPhone();
  watch = await pairedWatch(phone);
  await watch.sync();
  expect(await say(GOOD)).toBe(200);
});
afterAll(checkInvariants);

/** A signed check-in message of exactly these bytes. */
async function put(body: Uint8Array): Promise<number> {
  const checkIn = watch.profile?.checkInUrl ?? '';
  const type = 'application/x-apple-aspen-mdm-checkin';
  return (await watch.put('DeclarativeManagement', checkIn, type, body, 'a bad report')).status;
}

function message(Data: Uint8Array): Buffer {
  const head = { MessageType: 'DeclarativeManagement', UDID: watch.udid, Endpoint: 'status' };
  return writePlist({ ...head, Data: Buffer.from(Data) });
}

function say(report: unknown): Promise<number> {
  return put(message(bytesOf(report)));
}

function bytesOf(report: unknown): Uint8Array {
  if (report instanceof Uint8Array) return report;
  return Buffer.from(typeof report === 'string' ? report : JSON.stringify(report));
}

async function everything(): Promise<unknown> {
  await settle(watch);
  return [await readObject(env.DEVICE.getByName(watch.udid)), await readD1()];
}

let said = 0;

/** A report that differs from all before, and shows. */
async function expectGoodTaken(): Promise<void> {
  said += 1;
  expect(await say({ StatusItems: { test: { 'integer-value': 1000 + said } }, Errors: [] })).toBe(200);
  const { items } = await admin('GET', `devices/${watch.udid}/status`);
  const item = (items as Json[]).find((one) => one['name'] === 'test.integer-value');
  expect(item?.['value']).toBe(1000 + said);
}

async function expectRefused(send: () => Promise<number>, status = 400, note = ''): Promise<void> {
  const before = await everything();
  expect(await send(), note).toBe(status);
  expect(await everything(), note).toEqual(before);
  await expectGoodTaken();
}

const items = (StatusItems: unknown) => ({ StatusItems, Errors: [] });
const errors = (Errors: unknown) => ({ StatusItems: {}, Errors });
const declarations = (value: unknown) => items({ management: { declarations: value } });
const capabilities = (value: unknown) => items({ management: { 'client-capabilities': value } });
const declared = { identifier: 'a', 'server-token': '1', active: true, valid: 'valid' };
const nested = (open: string, inside: string, close: string, levels: number) =>
  `${open.repeat(levels)}${inside}${close.repeat(levels)}`;
const many = (count: number, of: (i: number) => unknown) => Array.from({ length: count }, (_, i) => of(i));

const REPORTS: readonly (readonly [string, unknown])[] = [
  ['nothing', ''],
  ['white space', ' \n\t'],
  ['a word', 'StatusItems'],
  ['null', 'null'],
  ['true', 'true'],
  ['a number', '7'],
  ['a text', '"StatusItems"'],
  ['an array', []],
  ['an array around a good report', [GOOD]],
  ['two reports', JSON.stringify(GOOD) + JSON.stringify(GOOD)],
  ['a report and a byte', `${JSON.stringify(GOOD)}x`],
  ['a trailing comma', '{"StatusItems":{},}'],
  ['a comment', '{"StatusItems":{}/**/}'],
  ['single quotes', "{'StatusItems':{}}"],
  ['NaN', '{"StatusItems":{"x":NaN}}'],
  ['a property list', '<?xml version="1.0"?><plist version="1.0"><dict/></plist>'],
  ['a NUL', '{"StatusItems":{"x":"\0"}}'],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
  [
    'an overlong NUL',
    Buffer.from([...Buffer.from('{"StatusItems":{"x":"'), 0xc0, 0x80, ...Buffer.from('"}}')]),
  ],
  ['half a surrogate pair in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ['UTF-16', Buffer.from(JSON.stringify(GOOD), 'utf16le')],
  ['gzip', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
  ['10,000 arrays in one another', nested('[', '', ']', 10_000)],
  ['10,000 objects in one another', `{"StatusItems":${nested('{"a":', '1', '}', 10_000)}}`],
  ['1,000,000 open brackets', '['.repeat(1_000_000)],
  ['33 levels in an item', items({ x: JSON.parse(nested('[', '', ']', 33)) })],
  ['20,001 values', items({ x: many(20_001, () => 1) })],
  ['5,001 apps', items({ mdm: { app: many(5_001, (i) => ({ identifier: `${i}` })) } })],
  ['2,001 items', items(Object.fromEntries(many(2_001, (i) => [`item-${i}`, 1]) as [string, number][]))],
  ['more than the status may have', { ...items({ x: 'x'.repeat(1024 * 1024) }), FullReport: true }],
  ['4 MiB and a byte', `"${'x'.repeat(4 * 1024 * 1024 - 1)}"`],
  ['a number past every double', '{"StatusItems":{"test":{"real-value":1e999}}}'],
  ['a negative one', '{"StatusItems":{"x":[-1e400]}}'],
  ['a fraction for an integer', items({ test: { 'integer-value': 4.5 } })],
  ['StatusItems twice, an array the second time', '{"StatusItems":{},"StatusItems":[]}'],
  ['an item twice, wrong the second time', '{"StatusItems":{"passcode":{"is-present":true,"is-present":1}}}'],
  ['an item named by half a surrogate pair', '{"StatusItems":{"\\ud800":1}}'],
  ['an item named by a control character', '{"StatusItems":{"\\u0000":1}}'],
  ['an item without a name', items({ '': 1 })],
  ['a name of 300 characters', items({ ['n'.repeat(300)]: 1 })],
  ['an error of an item named by half a pair', '{"Errors":[{"StatusItem":"\\udfff","Reasons":[]}]}'],
  [
    '__proto__ with a wrong item beside it',
    '{"StatusItems":{"passcode":{"__proto__":{},"is-present":"yes"}}}',
  ],
  [
    '__proto__ in place of an identifier',
    '{"StatusItems":{"mdm":{"app":[{"__proto__":{"identifier":"a"},"_removed":true}]}}}',
  ],
  ['StatusItems as an array', items([])],
  ['StatusItems as a text', items('x')],
  ['FullReport as a text', { ...GOOD, FullReport: 'true' }],
  ['FullReport as a number', { ...GOOD, FullReport: 1 }],
  ['a trunk as an array', items({ device: [] })],
  ['a trunk as a text', items({ device: { model: 'Watch' } })],
  ['an array as an object', items({ mdm: { app: {} } })],
  ['an object as an array', items({ test: { 'dictionary-value': [] } })],
  ['a removed app without identifier', items({ mdm: { app: [{ _removed: true }] } })],
  ['a removed app beside a named one', items({ mdm: { app: [{ identifier: 'a' }, { removed: true }] } })],
  ['an app whose identifier is a number', items({ mdm: { app: [{ identifier: 7 }] } })],
  [
    'a certificate without identifier',
    items({ security: { certificate: { list: [{ identifier: 'a' }, { data: '' }] } } }),
  ],
  ['management as an array', items({ management: [] })],
  ['declarations as an array', declarations([])],
  ['declarations as a text', declarations('all')],
  ['a kind of declarations as an object', declarations({ configurations: {} })],
  ['a declaration as a text', declarations({ configurations: ['a'] })],
  ['a declaration as an array', declarations({ configurations: [[]] })],
  ['a declaration without identifier', declarations({ assets: [{ ...declared, identifier: undefined }] })],
  [
    'a declaration without server token',
    declarations({ assets: [{ ...declared, 'server-token': undefined }] }),
  ],
  ['active as a text', declarations({ activations: [{ ...declared, active: 'true' }] })],
  ['another word for valid', declarations({ activations: [{ ...declared, valid: 'maybe' }] })],
  ['reasons as an object', declarations({ activations: [{ ...declared, reasons: {} }] })],
  ['a reason without code', declarations({ activations: [{ ...declared, reasons: [{}] }] })],
  [
    'details as an array',
    declarations({ activations: [{ ...declared, reasons: [{ code: 'x', details: [] }] }] }),
  ],
  ['a removed declaration without identifier', declarations({ activations: [{ _removed: true }] })],
  ['capabilities as an array', capabilities([])],
  ['versions as a text', capabilities({ 'supported-versions': '1.0.0' })],
  ['a version as a number', capabilities({ 'supported-versions': [1] })],
  ['payloads as an array', capabilities({ 'supported-payloads': [] })],
  ['types as an object', capabilities({ 'supported-payloads': { declarations: { assets: {} } } })],
  ['features as a text', capabilities({ 'supported-features': 'all' })],
  ['Errors as an object', errors({})],
  ['Errors as a text', errors('none')],
  ['an error as a text', errors(['test.error-value'])],
  ['an error without StatusItem', errors([{ Reasons: [] }])],
  ['a StatusItem as a number', errors([{ StatusItem: 7, Reasons: [] }])],
  ['an empty StatusItem', errors([{ StatusItem: '', Reasons: [] }])],
  ['Reasons as an object', errors([{ StatusItem: 'x', Reasons: {} }])],
  ['a Reason as a text', errors([{ StatusItem: 'x', Reasons: ['Error.Unknown'] }])],
  ['a Reason without Code', errors([{ StatusItem: 'x', Reasons: [{ Description: 'x' }] }])],
  ['a Code as a number', errors([{ StatusItem: 'x', Reasons: [{ Code: 7 }] }])],
  ['Details as an array', errors([{ StatusItem: 'x', Reasons: [{ Code: 'x', Details: [] }] }])],
];

it.each(REPORTS)('a report of %s is refused', async (_what, report) => {
  await expectRefused(() => say(report));
  if (mixed(report) !== report) await expectRefused(() => say(mixed(report)));
});

/** The same beside a good item that must not be taken either, where there is room for one. */
function mixed(report: unknown): unknown {
  if (report === null || typeof report !== 'object' || Array.isArray(report) || report instanceof Uint8Array)
    return report;
  const { StatusItems, ...rest } = report as { StatusItems?: unknown };
  const isDict = StatusItems !== null && typeof StatusItems === 'object' && !Array.isArray(StatusItems);
  const good = { 'a-good-item': 'that stands first' };
  return { StatusItems: isDict ? { ...good, ...StatusItems } : StatusItems, ...rest };
}

const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  string: [7, true, {}, []],
  data: [7, {}, []],
  integer: ['42', 1.5, true, [], {}],
  real: ['2.5', true, [], {}],
  boolean: ['true', 1, 0, [], {}],
  array: ['a', {}, 7, true],
  dictionary: ['a', [], 7, true],
};

it('every item of watchOS is refused with a value of any other type, null included', async () => {
  const refused: string[] = [];
  for (const { type, keys } of await listEntries('status', 'watchOS')) {
    const own = keys?.find((key) => key.name === type)?.type ?? '';
    const before = await everything();
    for (const value of [null, ...(WRONG[own] ?? [])]) {
      const nest = type.split('.').reduceRight<unknown>((inner, part) => ({ [part]: inner }), value);
      expect(await say(items(nest)), `${type}: ${JSON.stringify(value)}`).toBe(400);
    }
    expect(await everything(), type).toEqual(before);
    refused.push(type);
  }
  expect(refused).toHaveLength(29);
  await expectGoodTaken();
});

it('a good report cut short anywhere is refused', async () => {
  const whole = Buffer.from(JSON.stringify(GOOD));
  const before = await everything();
  for (let length = 0; length < whole.length; length += 7)
    expect(await say(whole.subarray(0, length)), `${length} of ${whole.length} bytes`).toBe(400);
  const around = message(whole);
  for (let length = 0; length < around.length - 10; length += 31)
    expect(await put(around.subarray(0, length)), `${length} bytes of the message`).toBe(400);
  expect(await everything()).toEqual(before);
  await expectGoodTaken();
});

it.each<[string, number, () => Uint8Array]>([
  ['without a body', 400, () => Buffer.alloc(0)],
  ['without Data', 400, () => plist('')],
  ['with Data as a text', 400, () => plist('<key>Data</key><string>e30=</string>')],
  ['with Data that is no base64', 400, () => plist('<key>Data</key><data>!@#$</data>')],
  ['with Data in base64 of a broken length', 400, () => plist('<key>Data</key><data>e30=A</data>')],
  ['with Data in an array', 400, () => plist('<key>Data</key><array><data>e30=</data></array>')],
  ['with a JSON document in place of the property list', 400, () => Buffer.from(JSON.stringify(GOOD))],
  ['with 5 MiB of JSON', 413, () => message(Buffer.from(`"${'x'.repeat(5 * 1024 * 1024)}"`))],
])('a message %s is refused', async (_what, status, body) => {
  await expectRefused(() => put(body()), status);
});

function plist(more: string): Buffer {
  const head = '<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>';
  const own = `<key>MessageType</key><string>DeclarativeManagement</string><key>UDID</key><string>${watch.udid}</string>`;
  return Buffer.from(`${head}${own}<key>Endpoint</key><string>status</string>${more}</dict></plist>`);
}

it.each([
  ['an item twice', '{"StatusItems":{"odd":1,"odd":2}}', 2],
  ['half a surrogate pair in a value', '{"StatusItems":{"odd":"\\ud800"}}', '\ud800'],
  ['the largest integer twice over', '{"StatusItems":{"odd":18014398509481984}}', 2 ** 54],
  ['__proto__ as an item', '{"StatusItems":{"odd":3,"__proto__":{"polluted":true}}}', 3],
  ['__proto__ beside StatusItems', '{"__proto__":{"polluted":true},"StatusItems":{"odd":4}}', 4],
  ['constructor as an item', '{"StatusItems":{"odd":5,"constructor":{"prototype":{"polluted":true}}}}', 5],
])('%s is odd and harmless: taken as it says, beside what was there', async (_what, report, value) => {
  const read = async () => (await admin('GET', `devices/${watch.udid}/status`))['items'] as Json[];
  const isOdd = (item: Json) => /^(odd|__proto__|constructor)/.test(String(item['name']));
  const before = (await read()).filter((item) => !isOdd(item));
  expect(await say(report)).toBe(200);
  const after = await read();
  expect(after.find((item) => item['name'] === 'odd')?.['value']).toBe(value);
  expect(after.filter((item) => !isOdd(item))).toEqual(before);
  expect('polluted' in {}).toBe(false);
  await expectGoodTaken();
});
