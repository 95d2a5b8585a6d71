/**
 * The part of the composition that is about apps: their library, their packages, and what carries deployments on, with
 * and without a request.
 */
import type { CommandService } from '../domain/admin/command-services.ts';
import type { DeviceDirectory } from '../domain/admin/services.ts';
import { Apps } from '../domain/app/apps.ts';
import { AppConfigurations } from '../domain/app/configurations.ts';
import { Deployments } from '../domain/app/deployments.ts';
import { AppDevices } from '../domain/app/devices.ts';
import { OrderContents } from '../domain/app/order-contents.ts';
import { PackageUrls } from '../domain/app/package-urls.ts';
import { Packages } from '../domain/app/packages.ts';
import type { AppSeal } from '../domain/app/ports.ts';
import { DeploymentRunner } from '../domain/app/runner.ts';
import type { Devices } from '../domain/enrollment/device.ts';
import type { Udid } from '../domain/ids.ts';
import type { StorageKey } from '../domain/storage-key.ts';
import { consoleLog } from '../log.ts';
import { startPackageDigest } from '../pki/package-digest.ts';
import { randomUuid } from '../pki/random.ts';
import { EscapementError } from '../std/outcome.ts';
import type { EpochMs } from '../std/time.ts';
import { D1AppDeployments } from '../storage/d1/app-deployments.ts';
import { D1Apps } from '../storage/d1/apps.ts';
import { D1Commands } from '../storage/d1/commands.ts';
import type { Database } from '../storage/d1/database.ts';
import { D1Groups } from '../storage/d1/groups.ts';
import { D1Inventory } from '../storage/d1/inventory.ts';
import { type FanoutMessage, QueueDue } from '../storage/queue/due.ts';
import { R2Packages } from '../storage/r2/packages.ts';

export interface AppsNeed {
  readonly db: Database;
  readonly devices: Devices;
  readonly commands: Pick<CommandService, 'enqueue'>;
  /** Brings a device up to date before it shows it. */
  readonly directory: Pick<DeviceDirectory, 'find'>;
  readonly isKnown: (udid: Udid) => Promise<boolean>;
  readonly storageKey: StorageKey;
  readonly publicUrl: string;
  /** Generated types promise it; who deploys without R2 has none. */
  readonly bucket: R2Bucket | undefined;
  readonly queue: Queue<FanoutMessage>;
}

/**
 * Of a message of the queue, or of a sweep: to order a command takes eleven statements, to go on from an answer at most
 * thirty, and D1 takes 1,000 in one invocation. Another message follows while there are more.
 */
const PER_MESSAGE = 30;
/** While a device's object waits for its telling: those that its messages are about, as a rule one. */
const PER_TELLING = 5;

export type AppComposition = ReturnType<typeof composeApps>;

export function composeApps({ db, devices, commands, isKnown, ...need }: AppsNeed) {
  const apps = new D1Apps(db);
  const seal = appSeal(need.storageKey);
  const configurations = new AppConfigurations(apps, seal);
  const urls = new PackageUrls(need.publicUrl, seal);
  const queue = new QueueDue(need.queue, consoleLog(), 'deployments');
  const packages = new Packages({
    store: apps,
    bucket: need.bucket === undefined ? null : new R2Packages(need.bucket),
    startHash: startPackageDigest,
    urls,
    newUuid: randomUuid,
  });
  const store = new D1AppDeployments(db);
  const history = new D1Commands(db);
  const runner = new DeploymentRunner({
    store,
    contents: new OrderContents(apps, configurations, urls),
    commands,
    results: (udid, commandUuid, nowMs) => history.find(udid, commandUuid, nowMs),
    devices: new AppDevices(devices),
  });
  const groups = new D1Groups(db);
  const deployments = new Deployments({
    apps,
    store,
    runner,
    async refresh(udid) {
      const device = await need.directory.find(udid);
      if (device?.phone != null) await need.directory.find(device.phone);
    },
    inventory: new D1Inventory(db),
    isKnown,
    groupExists: (name) => groups.exists(name),
    goOn: () => queue.ask(),
    onMissed: missed,
    newUuid: randomUuid,
  });
  const carryOn = async (nowMs: EpochMs, limit: number) => {
    if (await runner.advanceDue(nowMs, limit, missed)) await queue.ask();
  };
  return {
    admin: { apps: new Apps(apps, configurations, randomUuid), appPackages: packages, deployments },
    packages,
    runner,
    urls,
    /** For the queue's consumer and the sweeper: deployments that are due. */
    carryOn: (nowMs: EpochMs) => carryOn(nowMs, PER_MESSAGE),
    /** After messages of a device that some deployment waits for: what fails is left to the sweeper. */
    carryOnTold: (nowMs: EpochMs) => carryOn(nowMs, PER_TELLING),
  };
}

function appSeal(key: StorageKey): AppSeal {
  return {
    seal: (context, data) => key.seal(data, context),
    open: (context, sealed) => key.open(sealed, context),
  };
}

function missed(deploymentId: string, error: unknown): void {
  const errorCode = error instanceof EscapementError ? error.code : 'unknown';
  consoleLog().event('deployment-missed', { deploymentId, errorCode, error: String(error) });
}
