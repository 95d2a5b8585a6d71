/**
 * Enrolled devices by the thousand. A few are objects that went through the server's own `expectIdentity`,
 * `authenticate` and `updateTokens`, with the digest of no certificate, and got their first manifest as any device
 * does. The others are copies of what two of these stored: a new object takes the server six milliseconds of CPU.
 * What outboxes would tell the database, row by row, is put there in bulk. Nobody polls as one of them: that takes a
 * key.
 */
import { createHash } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { shardOf } from '../../src/domain/declaration/shard.ts';
import type { Udid } from '../../src/domain/ids.ts';
import type { Stack } from '../local/stack.ts';
import { countingFront } from './counting.ts';
import { adminOf } from './fleet.ts';

export interface MadeUpDevice {
  readonly udid: string;
  readonly serial: string;
  readonly digest: string;
}

export const GROUP = 'bench';
const OS_VERSION = '26.4';
const PRODUCT = 'iPhone17,1';
const PUSH_TOPIC = 'com.apple.mgmt.External.bench';
/** Devices of one request, as many objects at once as the server takes for a change. */
const PER_REQUEST = 250;
const CONCURRENCY = 16;

const CERTIFICATES = `
  INSERT INTO certificates (digest, serial_hex, udid, device_serial, platform, credential_id, origin, der,
    not_before_ms, not_after_ms)
  SELECT value ->> 'digest', value ->> 'digest', value ->> 'udid', value ->> 'serial', 'iOS', 'bench', 'bench', x'', 0, 0
  FROM json_each(?)`;
const DEVICES = `
  INSERT INTO devices (udid, serial, platform, state, product_name, os_version, enrolled_at_ms, last_seen_ms, revision)
  SELECT value ->> 'udid', value ->> 'serial', 'iOS', 'enrolled', '${PRODUCT}', '${OS_VERSION}', ?2, ?2, 2
  FROM json_each(?1)`;
const MEMBERS = `
  INSERT INTO group_devices (group_name, udid) SELECT '${GROUP}', value ->> 'udid' FROM json_each(?)`;

/** Adds `POST /make-up`, `POST /held`, `POST /copies` and `GET /waiting`, whose own calls are not counted. */
export const FLEET_FRONT = countingFront({
  methods: `
  async makeUp({ serial, digest }, nowMs) {
    const nobody = { pairingId: null, phoneUdid: null, renewalOf: null, permittedAtMs: null };
    this.expectIdentity({ digest, platform: 'iOS', serial, issuedAtMs: nowMs, ...nobody });
    const facts = { topic: '${PUSH_TOPIC}', serial, productName: '${PRODUCT}', osVersion: '${OS_VERSION}', buildVersion: null };
    const tokens = { topic: '${PUSH_TOPIC}', pushToken: new Uint8Array(32), pushMagic: 'bench', unlockToken: null };
    const steps = [this.authenticate(digest, facts, nowMs), this.updateTokens(digest, tokens, nowMs)];
    if (!steps.every((step) => step.ok)) throw new Error(JSON.stringify(steps));
    this.ctx.storage.sql.exec('DELETE FROM outbox');
    await this.ctx.storage.deleteAlarm();
  }`,
  routes: `
    if (pathname === '/make-up' || pathname === '/held') {
      const { devices, serverToken } = await request.json();
      const nowMs = Date.now();
      let held = 0;
      const waiting = devices.values();
      const lane = async () => {
        for (const device of waiting) {
          const object = env.DEVICE.getByName(device.udid);
          if (pathname === '/make-up') await object.makeUp(device, nowMs);
          else if ((await object.describe()).declarations.some((one) => one.serverToken === serverToken)) held++;
        }
      };
      await Promise.all(Array.from({ length: ${CONCURRENCY} }, lane));
      const listed = JSON.stringify(devices);
      const tell = [env.DB.prepare(\`${CERTIFICATES}\`).bind(listed), env.DB.prepare(\`${DEVICES}\`).bind(listed, nowMs)];
      if (pathname === '/make-up') await env.DB.batch(tell);
      return Response.json({ held });
    }
    if (pathname === '/ids') {
      const { devices } = await request.json();
      return Response.json({ ids: devices.map(({ udid }) => env.DEVICE.idFromName(udid).toString()) });
    }
    if (pathname === '/copies') {
      const { devices } = await request.json();
      const listed = JSON.stringify(devices);
      await env.DB.batch([
        env.DB.prepare(\`${CERTIFICATES}\`).bind(listed),
        env.DB.prepare(\`${DEVICES}\`).bind(listed, Date.now()),
        env.DB.prepare(\`${MEMBERS}\`).bind(listed),
      ]);
      return Response.json({ ids: devices.map(({ udid }) => env.DEVICE.idFromName(udid).toString()) });
    }
    if (pathname === '/waiting') return Response.json(await env.DB.prepare('SELECT count(*) AS devices FROM manifest_due').first());`,
});

export function madeUpDevice(index: number): MadeUpDevice {
  const digest = createHash('sha256').update(`bench ${index}`).digest('hex');
  return {
    digest,
    udid: `00008140-${digest.slice(0, 16).toUpperCase()}`,
    serial: `B${digest.slice(16, 27).toUpperCase()}`,
  };
}

/** As many as have, almost certainly, a device on either side of any percentage. */
const MADE_UP = 100;

/** The first devices, in the group; the set is assigned to it. */
export async function makeUpFirst(stack: Stack): Promise<readonly MadeUpDevice[]> {
  const devices = Array.from({ length: MADE_UP }, (_, index) => madeUpDevice(index));
  await inRequests(stack, '/make-up', devices);
  await adminOf(stack).post(`groups/${GROUP}/devices`, { add: devices.map(({ udid }) => udid) });
  return devices;
}

/**
 * More devices, in the group too, stored as one of the first on the same side of the percentage is; these have been
 * put away, so that their files are whole.
 */
export async function copyTo(
  stack: Stack,
  folder: string,
  {
    first,
    more,
    percent,
  }: {
    readonly first: readonly MadeUpDevice[];
    readonly more: readonly MadeUpDevice[];
    readonly percent: number;
  },
): Promise<void> {
  const has = ({ udid }: MadeUpDevice) => shardOf(udid as Udid) < percent;
  const patterns = [first.find(has), first.find((device) => !has(device))];
  const known = await ask<{ ids: string[] }>(stack, '/ids', { devices: patterns });
  const file = (id: string | undefined) => join(folder, `${id}.sqlite`);
  const [inside, outside] = known.ids.map(file);
  if (inside === undefined || outside === undefined) throw new Error('no device to copy');
  const { ids } = await ask<{ ids: string[] }>(stack, '/copies', { devices: more });
  for (const [at, device] of more.entries()) copyFileSync(has(device) ? inside : outside, file(ids[at]));
}

/** How many devices wait for their manifest. */
export async function countWaiting(stack: Stack): Promise<number> {
  const response = await fetch(`${stack.url}/waiting`);
  return ((await response.json()) as { devices: number }).devices;
}

/** How many of the devices' objects have this in their manifest; each is asked, and none of it is counted. */
export async function countHolders(
  stack: Stack,
  devices: readonly MadeUpDevice[],
  serverToken: string,
): Promise<number> {
  return inRequests(stack, '/held', devices, { serverToken });
}

async function inRequests(
  stack: Stack,
  path: string,
  devices: readonly MadeUpDevice[],
  more: Readonly<Record<string, string>> = {},
): Promise<number> {
  let held = 0;
  for (let at = 0; at < devices.length; at += PER_REQUEST) {
    const some = devices.slice(at, at + PER_REQUEST);
    held += (await ask<{ held: number }>(stack, path, { devices: some, ...more })).held;
  }
  return held;
}

async function ask<T>(stack: Stack, path: string, body: object): Promise<T> {
  const response = await fetch(`${stack.url}${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
