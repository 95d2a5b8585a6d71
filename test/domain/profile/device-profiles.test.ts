/** Orders over fakes: what the record says when a command cannot take the place of another. */
import { expect, it } from 'vitest';
import type { CommandService, NewCommand } from '../../../src/domain/admin/command-services.ts';
import type { PreparedProfile } from '../../../src/domain/admin/profile-services.ts';
import type { DeviceDescription } from '../../../src/domain/enrollment/device.ts';
import type { CommandUuid, Udid } from '../../../src/domain/ids.ts';
import type { DeviceProfile, DeviceProfileStore } from '../../../src/domain/profile/device-profile-ports.ts';
import { DeviceProfiles } from '../../../src/domain/profile/device-profiles.ts';
import { parsePlistDict } from '../../../src/protocol/plist/parse.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { ok, refuse } from '../../../src/std/outcome.ts';
import { epochMs } from '../../../src/std/time.ts';
import { mobileConfig } from '../../support/uploads.ts';

const UDID = 'UDID-00001' as Udid;
const NOW = epochMs(1000);

/** One device, one profile; `full` lets nothing more into the queue. */
function world() {
  const queue = { full: false, waiting: new Set<string>() };
  let record: DeviceProfile | null = null;
  const store: Partial<DeviceProfileStore> = {
    find: async () => record,
    async claim(order, prior) {
      if ((record?.commandUuid ?? null) !== prior) return refuse({ kind: 'changed' });
      const kept = { installedVersion: record?.installedVersion ?? null, installedAtMs: null };
      record = { ...order, ...kept, state: 'ordered', error: null, changedAtMs: order.orderedAtMs };
      return ok({ claimed: true });
    },
    async undo(order, prior) {
      if (record?.commandUuid === order.commandUuid) record = prior;
    },
  };
  const commands = {
    async enqueue({ commandUuid }: NewCommand) {
      if (queue.full) return refuse({ kind: 'queue-full', pendingMax: 1 });
      queue.waiting.add(commandUuid);
      return ok({ created: true, command: { commandUuid, state: 'pending' } });
    },
    async cancel(_udid: Udid, commandUuid: CommandUuid) {
      if (!queue.waiting.delete(commandUuid)) return refuse({ kind: 'unknown-command', commandUuid });
      if (record?.commandUuid === commandUuid)
        record = { ...record, state: 'failed', error: { kind: 'canceled' } };
      return ok({ commandUuid, state: 'canceled' });
    },
  } as unknown as CommandService;
  const device = {
    ...{ platform: 'watchOS', osVersion: '11.0', supervised: true, enrollmentId: 'e', declarations: [] },
    state: 'enrolled',
  } as unknown as DeviceDescription;
  let uuids = 0;
  const orders = new DeviceProfiles({
    commands,
    store: store as DeviceProfileStore,
    profiles: { open: () => Promise.reject(new Error('prepared is given')) },
    directory: { find: async () => ({ udid: UDID, platform: 'watchOS', watches: [] }) } as never,
    devices: { of: () => ({ describe: async () => device }) } as never,
    isKnown: async () => true,
    sign: async (bytes) => bytes,
    isEnrollmentProfile: () => false,
    newUuid: () => `COMMAND-${++uuids}`,
  });
  const payload = utf8(mobileConfig());
  const profile = parsePlistDict(payload);
  if (!profile.ok) throw new Error(profile.refusal.reason);
  const install = (version: number) => {
    const prepared = { identifier: 'com.example.wifi', payloadIdentifier: 'com.example.profile', version };
    const content = { payload, data: payload, profile: profile.value, allowUnknown: false };
    const dispatch = { push: false, expiresAtMs: null, confirmedSerial: null, again: false };
    return orders.installPrepared(UDID, { ...prepared, ...content } as PreparedProfile, dispatch, NOW);
  };
  return { queue, install, record: () => record };
}

it('an order that canceled another and cannot be queued leaves the record of a canceled one', async () => {
  const { queue, install, record } = world();
  expect(await install(1)).toMatchObject({ ok: true, value: { ordered: true } });
  const first = record()?.commandUuid;
  queue.full = true;
  expect(await install(2)).toMatchObject({ ok: false, refusal: { kind: 'queue-full' } });
  expect(record()).toMatchObject({
    commandUuid: first,
    version: 1,
    state: 'failed',
    error: { kind: 'canceled' },
  });
  queue.full = false;
  expect(await install(1)).toMatchObject({ ok: true, value: { ordered: true } });
  expect(queue.waiting).toEqual(new Set([record()?.commandUuid]));
});

it('an order takes the place of one that was recorded and never queued', async () => {
  const { queue, install, record } = world();
  await install(1);
  queue.waiting.clear();
  expect(await install(2)).toMatchObject({ ok: true, value: { ordered: true } });
  expect(queue.waiting).toEqual(new Set([record()?.commandUuid]));
});
