/** The `Devices` port over the device objects. */
import type { ConnectStep, Device, Devices } from '../../domain/enrollment/device.ts';
import type { DeviceRefusal } from '../../domain/enrollment/state.ts';
import type { Udid } from '../../domain/ids.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { repeatable } from '../stub.ts';
import type { DeviceObject } from './object.ts';

/** The object's own shorthand beside the port. */
type Stub = Device & {
  idle(digest: string, nowMs: EpochMs): Promise<Outcome<ConnectStep, DeviceRefusal> | null>;
};

const EMPTY = ok<ConnectStep>({ kind: 'empty' });

type Namespace = DurableObjectNamespace<DeviceObject>;

export class ObjectDevices implements Devices {
  readonly #namespace: Namespace;

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  of(udid: Udid): Device {
    const namespace = this.#namespace;
    // The runtime's stub types wrap each value so that Outcomes stop being Outcomes; DeviceObject implements
    // Served<Device>, which is the check that this view of its stub is right.
    const stub = () => namespace.getByName(udid) as unknown as Stub;
    const at = <T>(call: (device: Stub) => Promise<T>) => repeatable(async () => call(stub()));
    return {
      expectIdentity: (identity) => at((device) => device.expectIdentity(identity)),
      isCurrent: (digest, nowMs) => at((device) => device.isCurrent(digest, nowMs)),
      authenticate: (digest, facts, nowMs) => at((device) => device.authenticate(digest, facts, nowMs)),
      updateTokens: (digest, facts, nowMs) => at((device) => device.updateTokens(digest, facts, nowMs)),
      checkOut: (digest, nowMs) => at((device) => device.checkOut(digest, nowMs)),
      report: (digest, report, nowMs) =>
        at(async (device) => {
          if (report.status !== 'Idle' || report.commandUuid !== null)
            return device.report(digest, report, nowMs);
          return (await device.idle(digest, nowMs)) ?? EMPTY;
        }),
      offer: (digest, offer, nowMs) => at((device) => device.offer(digest, offer, nowMs)),
      giveUp: (digest, commandUuid, status, nowMs) =>
        at((device) => device.giveUp(digest, commandUuid, status, nowMs)),
      settleUnreadable: (digest, nowMs) => at((device) => device.settleUnreadable(digest, nowMs)),
      tellWork: (enrollmentId, nowMs) => at((device) => device.tellWork(enrollmentId, nowMs)),
      cancel: (commandUuid, nowMs) => at((device) => device.cancel(commandUuid, nowMs)),
      describe: () => at((device) => device.describe()),
      setManifest: (entries, token, nowMs) => at((device) => device.setManifest(entries, token, nowMs)),
      read: (digest, nowMs, asItems) => at((device) => device.read(digest, nowMs, asItems)),
      fetchDeclaration: (digest, kind, identifier, nowMs) =>
        at((device) => device.fetchDeclaration(digest, kind, identifier, nowMs)),
      reportDeclarations: (digest, report, nowMs) =>
        at((device) => device.reportDeclarations(digest, report, nowMs)),
      statusItems: () => at((device) => device.statusItems()),
      statusReports: () => at((device) => device.statusReports()),
      saveBootstrapToken: (digest, sealed, nowMs) =>
        at((device) => device.saveBootstrapToken(digest, sealed, nowMs)),
      flush: () => at((device) => device.flush()),
    };
  }
}
