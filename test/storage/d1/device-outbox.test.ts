/** What a batch of a device's messages costs D1: a request has 50 queries on the free plan, and each statement is one. */
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import type { DeviceMessage } from '../../../src/domain/enrollment/outbox.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { OUTBOX_BATCH } from '../../../src/durable/device/store.ts';
import { utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';
import { type Bound, Database, type Statement } from '../../../src/storage/d1/database.ts';
import { recordDeviceMessages } from '../../../src/storage/d1/device-outbox.ts';
import { serial, udid } from '../../support/pairing.ts';

const QUERIES_MAX = 50;

class Counting extends Database {
  asked = 0;

  override run(sql: string, ...bound: readonly Bound[]): Promise<number> {
    this.asked += 1;
    return super.run(sql, ...bound);
  }

  override all<Row>(sql: string, ...bound: readonly Bound[]): Promise<Row[]> {
    this.asked += 1;
    return super.all<Row>(sql, ...bound);
  }

  override first<Row>(sql: string, ...bound: readonly Bound[]): Promise<Row | null> {
    this.asked += 1;
    return super.first<Row>(sql, ...bound);
  }

  override results(statements: readonly Statement[]): Promise<D1Result[]> {
    this.asked += statements.length;
    return super.results(statements);
  }
}

const DEVICE: Udid = udid('DEVICE-COST-1');
const AT = epochMs(1);

const result = (requestType: string | null, state: 'acknowledged' | 'error', list = ''): DeviceMessage => ({
  kind: 'result',
  udid: DEVICE,
  commandUuid: 'COMMAND-1',
  requestType,
  state,
  status: state === 'error' ? 'Error' : 'Acknowledged',
  answeredAtMs: AT,
  sent: null,
  raw: utf8(
    `<plist version="1.0"><dict><key>Status</key><string>Acknowledged</string>${list}</dict></plist>`,
  ),
});

/** Of each kind those that concern most. */
const MESSAGES: Readonly<Record<DeviceMessage['kind'], readonly DeviceMessage[]>> = {
  result: [
    result(null, 'acknowledged'),
    result(null, 'error'),
    result('ManagedApplicationList', 'acknowledged', '<key>ManagedApplicationList</key><dict></dict>'),
    result('InstallProfile', 'acknowledged'),
    result('InstallApplication', 'error'),
    result('ProfileList', 'acknowledged', '<key>ProfileList</key><array></array>'),
  ],
  progress: [{ kind: 'progress', commandUuid: 'COMMAND-1', state: 'delivered', sent: null }],
  cancel: [{ kind: 'cancel', commandUuid: 'COMMAND-1', state: 'canceled', atMs: AT }],
  reset: [{ kind: 'reset', udid: DEVICE, enrollmentId: 'e', atMs: AT }],
  projection: [
    {
      kind: 'projection',
      device: {
        ...{
          udid: DEVICE,
          serial: serial('SERIAL0001'),
          platform: 'watchOS',
          state: 'enrolled',
          revision: 1,
        },
        ...{ productName: null, osVersion: null, buildVersion: null, phoneUdid: null, pairingId: null },
        ...{ enrolledAtMs: AT, lastSeenMs: AT },
        history: { enrollmentId: 'e', startedAtMs: AT, ended: null, endedAtMs: null, presumedEnd: null },
      },
    },
  ],
  status: [{ kind: 'status', udid: DEVICE, revision: 1, items: {} }],
  events: [
    {
      ...{ kind: 'events', udid: DEVICE, revision: 1, atMs: AT },
      events: [{ kind: 'status-changed', changes: [{ name: 'mdm.app', to: [] }] }],
    },
  ],
  pairing: [{ kind: 'pairing', watchUdid: DEVICE, pairingId: 'p', step: 'enrolled', atMs: AT }],
  declared: [
    {
      ...{ kind: 'declared', udid: DEVICE, enrollmentId: 'e', commandUuid: 'COMMAND-2', atMs: AT },
      ...{ requestType: 'DeclarativeManagement', body: '<plist/>' },
    },
  ],
  compile: [{ kind: 'compile', udid: DEVICE, atMs: AT }],
  wake: [{ kind: 'wake', udid: DEVICE }],
};

it('a full batch of the dearest messages stays under what the free plan allows a request', async () => {
  const costs = await Promise.all(
    Object.values(MESSAGES)
      .flat()
      .map(async (message) => {
        const counting = new Counting(env.DB);
        await recordDeviceMessages(counting, [message]);
        return counting.asked;
      }),
  );
  expect(Math.max(...costs)).toBeGreaterThan(1);
  expect(Math.max(...costs) * OUTBOX_BATCH).toBeLessThan(QUERIES_MAX);
});
