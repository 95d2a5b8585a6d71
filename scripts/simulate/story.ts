/**
 * What the simulated devices live through. Under mischief a step may have to be begun again, as a person would:
 * a one-time link whose answer got lost is spent, and so is a one-time challenge.
 */
import {
  type PairingOutcome,
  ScepFailure,
  SimulatedPhone,
  SimulatedWatch,
  type World,
} from '../../test/simulator/index.ts';
import type { AdminClient, Json } from '../local/admin-client.ts';

export interface Story {
  readonly admin: AdminClient;
  readonly tries: number;
  note(text: string): void;
  check(good: boolean, text: string): void;
}

export async function enrollPhone({ admin, tries, note }: Story, world: World): Promise<SimulatedPhone> {
  const phone = await SimulatedPhone.create(world);
  const { udid, serial } = phone;
  for (let attempt = 1; ; attempt++) {
    const order = { udid, serial, platform: 'iOS', signed: true, ttlSeconds: 600 };
    const link = await admin.post('enrollment-links', order);
    const wrong = await failure(() => phone.enrollByLink(String(link['url'])));
    if (wrong === null) return phone;
    if (attempt >= tries) throw wrong;
    note(`starts again with a new link (${wrong.message})`);
  }
}

export async function assignWatchEnrollment(
  { admin, tries, check }: Story,
  phone: SimulatedPhone,
): Promise<void> {
  const path = `watch-enrollment/devices/${phone.udid}`;
  await admin.put(path, { anchors: [] });
  for (let session = 1; session <= tries && phone.watchEnrollmentUrl() === null; session++) {
    const { sync } = await phone.connect();
    if (sync === null) await phone.sync();
  }
  check(phone.watchEnrollmentUrl() !== null, 'the iPhone holds the watch enrollment configuration');
  await admin.until(path, (value) => value['active'] === true && value['valid'] === 'valid');
  check(true, 'the server knows that it is active and valid');
}

export async function pairWatch(
  story: Story,
  world: World,
  phone: SimulatedPhone,
  name: string,
): Promise<SimulatedWatch> {
  const watch = await SimulatedWatch.create(world, { name });
  let outcome: PairingOutcome = await watch.pairWith(phone);
  for (let attempt = 1; outcome.kind === 'refused' && attempt < story.tries; attempt++) {
    story.note(`${name} starts again (refused at ${outcome.at}, ${outcome.status})`);
    outcome = await watch.pairWith(phone);
  }
  story.check(outcome.kind === 'enrolled', `${name} ${watch.udid} has its profile and checked in`);
  const device = await story.admin.until(`devices/${watch.udid}`, (value) => value['state'] === 'enrolled');
  story.check(device['phone'] === phone.udid, `${name} is enrolled and belongs to ${phone.udid}`);
  return watch;
}

const LOCK: readonly Json[] = [
  { RequestType: 'DeviceInformation', Queries: ['UDID', 'SerialNumber', 'OSVersion', 'IsSupervised'] },
  { RequestType: 'ProfileList' },
  { RequestType: 'DeviceLock', Message: 'Please return this watch.' },
];
const UNLOCK: readonly Json[] = [{ RequestType: 'ClearPasscode' }, { RequestType: 'SecurityInfo' }];

export async function commandWatch(story: Story, watch: SimulatedWatch): Promise<void> {
  await answered(story, watch, LOCK);
  story.check(watch.facts.locked, `${watch.name} is locked`);
  await answered(story, watch, UNLOCK);
  story.check(!watch.facts.passcode, `the passcode of ${watch.name} is cleared`);
}

async function answered(
  { admin, tries, check }: Story,
  watch: SimulatedWatch,
  commands: readonly Json[],
): Promise<void> {
  const path = `devices/${watch.udid}/commands`;
  const queued: string[] = [];
  for (const command of commands) {
    queued.push(String((await admin.post(path, { command, push: false }))['commandUuid']));
  }
  const open = () => queued.filter((uuid) => !watch.answered.has(uuid));
  for (let session = 1; session <= tries * 2 && open().length > 0; session++) await watch.connect();
  check(open().length === 0, `${watch.name} answered ${queued.length} commands`);
  for (const uuid of queued)
    await admin.until(`${path}/${uuid}`, (value) => value['state'] === 'acknowledged');
  check(true, 'and the server has every answer');
}

/** A failure that a person would answer by starting again; anything else is thrown on. */
async function failure(step: () => Promise<void>): Promise<Error | null> {
  try {
    await step();
    return null;
  } catch (error) {
    const spent = error instanceof Error && /200 for the link/.test(error.message);
    if (error instanceof ScepFailure || spent) return error;
    throw error;
  }
}
