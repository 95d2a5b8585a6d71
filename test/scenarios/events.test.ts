/**
 * A program follows the fleet while a simulated watch pairs, is asked for its passcode's compliance, loses and regains
 * it, and leaves: each change is told once and in order, through evictions and repeated reports, by page and by stream.
 */
import { evictAllDurableObjects } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SimulatedPhone, SimulatedWatch } from '../simulator/index.ts';
import { admin, assignedPhone, type Json, pairedWatch, secrets, send, url } from '../support/front-door.ts';
import { checkInvariants, settle } from '../support/invariants.ts';

let phone: SimulatedPhone;
let watch: SimulatedWatch;
let cursor: string;
beforeAll(async () => {
  // The story's own subscription is the only one.
  for (const platform of ['iOS', 'watchOS']) await admin('PUT', `subscriptions/${platform}`, { items: [] });
  phone = await assignedPhone();
  cursor = String((await admin('GET', 'events?after=latest'))['cursor']);
  watch = await pairedWatch(phone);
});
afterAll(checkInvariants);

/** What happened to the watch since this was asked last. */
async function news(): Promise<Json[]> {
  await settle();
  const items: Json[] = [];
  for (;;) {
    const page = await admin('GET', `events?after=${cursor}&device=${watch.udid}&limit=2`);
    cursor = String(page['cursor']);
    const found = page['items'] as Json[];
    if (found.length === 0) return items;
    items.push(...found);
  }
}

const compliance = (from: boolean, to: boolean) => ({
  kind: 'status-changed',
  udid: watch.udid,
  at: expect.any(String),
  changes: [{ name: 'passcode.is-compliant', from, to }],
});

async function say(report: Json): Promise<number> {
  const Data = Buffer.from(JSON.stringify(report));
  return (await watch.checkIn('DeclarativeManagement', { Endpoint: 'status', Data })).status;
}

async function declare(identifier: string, type: string, payload: Json): Promise<string> {
  const headers = { authorization: `Bearer ${env.ADMIN_KEY}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ type, payload });
  const reply = await send(
    new Request(`${url}/api/v1/declarations/${identifier}`, {
      method: 'PUT',
      headers: { ...headers, 'if-none-match': '*' },
      body,
    }),
  );
  if (!reply.ok) throw new Error(await reply.text());
  return identifier;
}

it('that the watch enrolled is told once, with the iPhone that it paired through', async () => {
  const events = await news();
  expect(events.filter(({ kind }) => kind !== 'status-changed')).toEqual([
    {
      kind: 'device-enrolled',
      udid: watch.udid,
      at: expect.any(String),
      serial: watch.serial,
      platform: 'watchOS',
      phone: phone.udid,
      pairingId: expect.any(String),
    },
  ]);
});

it('what becomes of a subscription is told, and the first value with it', async () => {
  const subscription = await declare(
    'com.example.subscription',
    'com.apple.configuration.management.status-subscriptions',
    { StatusItems: [{ Name: 'passcode.is-compliant' }] },
  );
  const activation = await declare('com.example.subscribe', 'com.apple.activation.simple', {
    StandardConfigurations: [subscription],
  });
  await admin('PUT', 'sets/events', { declarations: [subscription, activation] });
  await admin('PUT', `sets/events/devices/${watch.udid}`);
  await settle();
  await watch.connect();
  const events = await news();
  expect(events[0]).toMatchObject({
    kind: 'status-changed',
    changes: [
      { name: 'management.client-capabilities', omitted: ['to'] },
      { name: 'passcode.is-compliant', to: true },
    ],
  });
  const declared = events.filter(({ kind }) => kind === 'declaration-changed');
  expect(declared).toMatchObject(
    [activation, subscription].map((identifier) => ({
      identifier,
      active: true,
      valid: 'valid',
      reasons: [],
    })),
  );
});

it('a passcode that no longer complies is told once, however often the watch says so', async () => {
  watch.facts.compliant = false;
  expect((await watch.sync()).reported).toBe(true);
  await evictAllDurableObjects();
  // As if the reply had been lost.
  const again = { StatusItems: { passcode: { 'is-compliant': false } }, Errors: [] };
  for (let i = 0; i < 2; i++) expect(await say(again)).toBe(200);
  expect((await watch.sync({ fullReport: true })).reported).toBe(true);
  expect(await news()).toEqual([compliance(true, false)]);
});

it('a report that is refused, and push token and PushMagic in one that is taken, are not told', async () => {
  expect(await say({ StatusItems: { passcode: { 'is-compliant': 'yes' } }, FullReport: true })).toBe(400);
  const mdm = { 'push-token': 'cmVwb3J0ZWQtcHVzaC10b2tlbg==', 'push-magic': 'REPORTED-PUSH-MAGIC' };
  secrets.add('reported push token', mdm['push-token']);
  secrets.add('reported PushMagic', mdm['push-magic']);
  const report = { StatusItems: { mdm, passcode: { 'is-compliant': false } }, Errors: [] };
  expect(await say(report)).toBe(200);
  expect(await news()).toEqual([]);
  const shown = await admin('GET', `devices/${watch.udid}/status`);
  expect(shown['items']).toContainEqual(
    expect.objectContaining({ name: 'mdm.push-token', value: '[secret]', error: null }),
  );
  const { items } = await admin('GET', `devices/${watch.udid}/status/reports`);
  expect((items as Json[])[0]?.['report']).toEqual({
    ...report,
    StatusItems: { ...report.StatusItems, mdm: { 'push-token': '[secret]', 'push-magic': '[secret]' } },
  });
  expect(secrets.foundIn(JSON.stringify([shown, items]))).toEqual([]);
});

it('a stream that is open when compliance comes back tells it, and a page goes on behind it', async () => {
  const abort = new AbortController();
  const headers = { authorization: `Bearer ${env.ADMIN_KEY}`, accept: 'text/event-stream' };
  const response = await send(
    new Request(`${url}/api/v1/events?device=${watch.udid}`, {
      headers: { ...headers, 'last-event-id': cursor },
      signal: abort.signal,
    }),
  );
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  watch.facts.compliant = true;
  expect((await watch.sync()).reported).toBe(true);
  await settle();
  let text = '';
  while (!text.includes('data: ')) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the stream ended after: ${text}`);
    text += value;
  }
  await reader.cancel();
  const frame = /id: (\S+)\nevent: status-changed\ndata: (.*)\n\n/.exec(text);
  expect(JSON.parse(frame?.[2] ?? '')).toEqual(compliance(false, true));
  cursor = frame?.[1] ?? '';
  expect(await news()).toEqual([]);
});

it('a status item that fails is told with its reasons', async () => {
  const Errors = [{ StatusItem: 'passcode.is-present', Reasons: [{ Code: 'Error.Denied' }] }];
  for (let i = 0; i < 2; i++) expect(await say({ StatusItems: {}, Errors })).toBe(200);
  const reasons = [{ code: 'Error.Denied', description: null }];
  const event = { kind: 'status-error', udid: watch.udid, at: expect.any(String) };
  expect(await news()).toEqual([{ ...event, name: 'passcode.is-present', reasons }]);
});

it('that the watch left is told once', async () => {
  await watch.checkOut();
  expect(await news()).toMatchObject([
    { kind: 'device-checked-out', udid: watch.udid, serial: watch.serial, phone: phone.udid },
  ]);
});
