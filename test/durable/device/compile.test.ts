/** When the object says that its manifest must be compiled anew, and what comes of that. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addMs, epochMs, MINUTE_MS } from '../../../src/std/time.ts';
import { entry, listen } from '../../support/declare.ts';
import {
  assignEntries,
  breakD1,
  database,
  enroll,
  enrolledDevice,
  FACTS,
  fleet,
  newDevice,
  objectRows,
  START,
  session,
  statusReport,
  type TestDevice,
  tokens,
} from '../../support/device.ts';
import { value } from '../../support/pairing.ts';

listen();
afterEach(() => {
  vi.restoreAllMocks();
  listen();
});

describe('a manifest is compiled anew', () => {
  /** What the object has to tell, which it cannot. */
  async function posted(device: TestDevice, act: () => Promise<unknown>): Promise<unknown[]> {
    await device.object.flush();
    const outage = breakD1('batch');
    try {
      await act();
      return (await objectRows(device, "SELECT body FROM outbox WHERE kind = 'compile'")).map((row) =>
        JSON.parse(String(row['body'])),
      );
    } finally {
      outage.mockRestore();
      await device.object.flush();
    }
  }
  const system = (version: string, build: string) =>
    statusReport({
      status: {
        full: false,
        values: new Map([
          ['device.operating-system.version', JSON.stringify(version)],
          ['device.operating-system.build-version', JSON.stringify(build)],
        ]),
        errors: new Map(),
      },
    });
  const model = (name: string) =>
    statusReport({
      status: {
        full: false,
        values: new Map([['device.model.identifier', JSON.stringify(name)]]),
        errors: new Map(),
      },
    });
  const report =
    (device: TestDevice, said: Parameters<TestDevice['object']['reportDeclarations']>[1]) => () =>
      device.object.reportDeclarations(device.pin, said, START);

  it('when the device has enrolled, and not when it says its tokens again', async () => {
    const device = await newDevice();
    const message = { kind: 'compile', udid: device.udid, atMs: START };
    value(await device.object.authenticate(device.pin, { ...FACTS, serial: null }, START));
    const update = () => device.object.updateTokens(device.pin, tokens(), START);
    expect(await posted(device, update)).toEqual([message]);
    expect(await posted(device, update)).toEqual([]);
  });

  it('when it reports another system version, model or other capabilities, and for nothing else', async () => {
    const device = await enrolledDevice();
    const times = async (said: Parameters<typeof report>[1]) =>
      (await posted(device, report(device, said))).length;
    expect(await times(system('27.0', '24R1'))).toBe(1);
    expect(await times(system('27.0', '24R1'))).toBe(0);
    expect(await times(system('27.0', '24R2'))).toBe(0);
    expect(await times(model('Watch7,99'))).toBe(1);
    expect(await times(model('Watch7,99'))).toBe(0);
    expect(await times(statusReport({ capabilities: '{"a":1}' }))).toBe(1);
    expect(await times(statusReport({ capabilities: '{"a":1}' }))).toBe(0);
    expect(await times(statusReport({ full: true }))).toBe(0);
  });

  it('so that a device is given what its system takes now, and is told by one command', async () => {
    const device = await enrolledDevice();
    const identifier = `siri-${device.udid}`;
    await assignEntries(device, [entry('t1', identifier)]);
    await database.run(
      "UPDATE declarations SET type = 'com.apple.configuration.siri.settings' WHERE identifier = ?",
      identifier,
    );
    await fleet.manifests.hold([device.udid], START);
    const held = async () =>
      (await device.object.describe())?.declarations
        .map((one) => one.identifier)
        .filter((one) => !one.startsWith('com.escapement.'));
    expect(await held()).toEqual([]);
    await session(device);
    value(await report(device, system('26.4', '23T1'))());
    await device.object.flush();
    expect(await held()).toEqual([identifier]);
    expect(await session(device)).toHaveLength(1);
  });

  it('by the sweeper where D1 was away when it was to be, and what is behind it is told meanwhile', async () => {
    const device = await newDevice();
    const outage = breakD1('prepare', (sql) => String(sql).includes('set_devices'));
    await database.run('INSERT INTO sets (name, updated_at_ms) VALUES (?, 0)', device.udid);
    await enroll(device, device.pin);
    expect(await objectRows(device, 'SELECT kind FROM outbox')).toEqual([]);
    outage.mockRestore();
    expect(await session(device)).toEqual([]);
    await fleet.due.bringSome(addMs(epochMs(Date.now()), 2 * MINUTE_MS));
    expect(await session(device)).toHaveLength(1);
  });
});
