/**
 * Enrolled devices by the thousand. Each is an object that went through the server's own `expectIdentity`,
 * `authenticate` and `updateTokens`, with the digest of no certificate; what its outbox would then tell the database,
 * row by row, is put there in bulk. Nobody polls as one of them: that takes a key.
 */
import { createHash } from 'node:crypto';
import type { Stack } from '../local/stack.ts';
import { countingFront } from './counting.ts';

export interface MadeUpDevice {
  readonly udid: string;
  readonly serial: string;
  readonly digest: string;
}

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

/** Adds `POST /make-up`, `POST /held` and `GET /waiting`, whose own calls are not counted. */
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

export async function makeUp(stack: Stack, devices: readonly MadeUpDevice[]): Promise<void> {
  await inRequests(stack, '/make-up', devices);
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
    const body = JSON.stringify({ devices: devices.slice(at, at + PER_REQUEST), ...more });
    const response = await fetch(`${stack.url}${path}`, { method: 'POST', body });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    held += ((await response.json()) as { held: number }).held;
  }
  return held;
}
