/** Enrolled devices for the bench, and their idle polls as bytes: the simulator's own, signed with real keys. */
import { Buffer } from 'node:buffer';
import { createWorld, KeyPool, SimulatedPhone, type World, writePlist } from '../../test/simulator/index.ts';
import { AdminClient } from '../local/admin-client.ts';
import type { Stack } from '../local/stack.ts';

/** Key pairs are shared in turn; certificates are each device's own. */
const KEYS = 8;
const LANES = 4;
/** By then the objects have told of the enrollments, and have their manifests. */
const FIRST_MANIFEST_MS = 1500;

export function benchWorld(stack: Stack): World {
  return createWorld({
    baseUrl: stack.url,
    deviceCa: { certificatePem: stack.deviceCa.certificate, keyPem: stack.deviceCa.key },
    keys: new KeyPool({ size: KEYS }),
    seed: 1,
  });
}

export function adminOf(stack: Stack): AdminClient {
  return new AdminClient(stack.url, stack.adminKey);
}

export async function enrollPhones(stack: Stack, world: World, count: number): Promise<SimulatedPhone[]> {
  const admin = adminOf(stack);
  const phones = await Promise.all(Array.from({ length: count }, () => SimulatedPhone.create(world)));
  const waiting = [...phones];
  const lane = async () => {
    for (let phone = waiting.pop(); phone !== undefined; phone = waiting.pop()) {
      const { udid, serial } = phone;
      const link = await admin.post('enrollment-links', { udid, serial, platform: 'iOS', signed: false });
      await phone.enrollByLink(String(link['url']));
      await phone.connect();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  // What the server gives every device follows the enrollment; a phone that has yet to be told of it is not idle.
  await new Promise((resolve) => setTimeout(resolve, FIRST_MANIFEST_MS));
  for (const phone of phones) await phone.connect();
  return phones;
}

/** `PUT /mdm/connect`, Idle, as it goes over the wire; `index` tells the floor's objects apart. */
export function idlePoll(phone: SimulatedPhone, index: number): string {
  const body = Buffer.from(writePlist({ UDID: phone.udid, Status: 'Idle' }));
  const head = [
    'PUT /mdm/connect HTTP/1.1',
    'Host: 127.0.0.1',
    'Content-Type: application/x-apple-aspen-mdm; charset=UTF-8',
    `Mdm-Signature: ${phone.mdmSignature(body)}`,
    `X-Object: ${index}`,
    `Content-Length: ${body.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]).toString('base64');
}
