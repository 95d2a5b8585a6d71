/**
 * Composition: which adapter stands behind which port. Services are built once an isolate from a checked
 * configuration; a broken configuration is a rejected promise, so every request reports it.
 */

import { readAccessRights, readConfig } from './config.ts';
import { BootstrapKey } from './domain/admin/bootstrap-key.ts';
import type { GatheredServices } from './domain/admin/order-services.ts';
import type { AdminServices } from './domain/admin/services.ts';
import { CommandAdmission } from './domain/command/admission.ts';
import { AvailableCommands } from './domain/command/advisor.ts';
import { CommandChannel } from './domain/command/channel.ts';
import { CommandContents } from './domain/command/content.ts';
import { commandSecrets } from './domain/command/seal.ts';
import { CommandQueue } from './domain/command/service.ts';
import { CommandSweeper } from './domain/command/sweeper.ts';
import { DeclarativeManagementService } from './domain/declaration/ddm.ts';
import { DryRuns } from './domain/declaration/dry-run.ts';
import { DueManifests } from './domain/declaration/due.ts';
import { Groups } from './domain/declaration/groups.ts';
import { Declarations } from './domain/declaration/library.ts';
import { ManifestCompiler } from './domain/declaration/manifest-compiler.ts';
import { WatchEnrollments } from './domain/declaration/service.ts';
import { Sets } from './domain/declaration/sets.ts';
import { Settings } from './domain/declaration/settings.ts';
import { DeviceStatusReader } from './domain/declaration/status.ts';
import { CheckInService } from './domain/enrollment/check-in.ts';
import { deviceSeal } from './domain/enrollment/device-seal.ts';
import { FreshDirectory } from './domain/enrollment/directory.ts';
import type { DeviceOutboxPort } from './domain/enrollment/outbox.ts';
import { tellOwner } from './domain/enrollment/owners.ts';
import { DeviceVerifier } from './domain/identity/device-verifier.ts';
import { IssuanceMint, OneTimeLinks } from './domain/identity/issuance.ts';
import { DeviceIdentityRegister } from './domain/identity/register.ts';
import { ScepService } from './domain/identity/scep-service.ts';
import type { Udid } from './domain/ids.ts';
import { Inventories } from './domain/inventory/service.ts';
import { PhoneEnrollment } from './domain/pairing/phone-enrollment.ts';
import { PairingService } from './domain/pairing/service.ts';
import { machineInfoVerifier, tokenKeys } from './domain/pairing/verifiers.ts';
import { ProfileBuilds } from './domain/profile/service.ts';
import { StorageKey } from './domain/storage-key.ts';
import { ObjectDevices } from './durable/device/gateway.ts';
import { issuanceCells } from './durable/issuance/cells.ts';
import { durablePairings } from './durable/pairing/pairings.ts';
import type { Services } from './http/app.ts';
import { consoleLog } from './log.ts';
import { CertificateAuthority } from './pki/certificate-authority.ts';
import { ChainVerifier } from './pki/chain.ts';
import { signAttached } from './pki/cms-sign.ts';
import { sha256Hex } from './pki/digest.ts';
import { ForeignIssuers } from './pki/jwks.ts';
import { PairingTokenKeys } from './pki/jws.ts';
import { importAuthority } from './pki/keys.ts';
import { randomBytes, randomUuid } from './pki/random.ts';
import { importSealKey } from './pki/seal.ts';
import { ENROLLMENT_PROFILE_IDENTIFIER } from './protocol/profile/enrollment-profile.ts';
import { LogWaker } from './push/log-waker.ts';
import type { Bytes } from './std/bytes.ts';
import { EscapementError } from './std/outcome.ts';
import { epochMs } from './std/time.ts';
import { D1Assignments } from './storage/d1/assignments.ts';
import { D1CertificateRecords } from './storage/d1/certificates.ts';
import { D1Commands } from './storage/d1/commands.ts';
import { Database } from './storage/d1/database.ts';
import { D1DeclarationLibrary } from './storage/d1/declaration-library.ts';
import { D1DeclarationSets } from './storage/d1/declaration-sets.ts';
import { D1Declarations } from './storage/d1/declarations.ts';
import { recordDeviceMessages } from './storage/d1/device-outbox.ts';
import { D1Devices } from './storage/d1/devices.ts';
import { D1Due } from './storage/d1/due.ts';
import { D1Enrollments } from './storage/d1/enrollments.ts';
import { D1Events } from './storage/d1/events.ts';
import { D1ExpectedDevices } from './storage/d1/expected-devices.ts';
import { GatheringDatabase } from './storage/d1/gathered.ts';
import { D1Groups } from './storage/d1/groups.ts';
import { D1Inventory } from './storage/d1/inventory.ts';
import { D1KeyMark } from './storage/d1/key-mark.ts';
import { D1Members } from './storage/d1/members.ts';
import { D1PairingReader } from './storage/d1/pairings.ts';
import { D1Properties, D1Subscriptions } from './storage/d1/settings.ts';
import { fetchJwks } from './storage/jwks-fetch.ts';
import { KvRendered } from './storage/kv/rendered.ts';
import { QueueDue } from './storage/queue/due.ts';
import { type AppComposition, composeApps } from './wiring/apps.ts';
import { policyServices } from './wiring/policy.ts';
import { profileBuilder } from './wiring/profile-builder.ts';
import { profileServices, uploadSeal } from './wiring/profiles.ts';

/** What requests are served with, and what goes on without one. */
type Composition = Services & { readonly background: AppComposition };

const built = new WeakMap<Env, Promise<Composition>>();

/** The services of this isolate. Rejects with a `Fault` for as long as the configuration is broken. */
export function servicesFor(env: Env): Promise<Composition> {
  const existing = built.get(env);
  if (existing !== undefined) return existing;
  const services = build(env);
  built.set(env, services);
  return services;
}

/** What needs no secret: the sweeper's side of the queue, and the assignments. Objects use it too. */
export function fleetFor(env: Env) {
  const db = new Database(env.DB);
  const devices = new ObjectDevices(env.DEVICE);
  const index = new D1Devices(db);
  const isKnown = (udid: Udid) => index.isKnown(udid);
  const events = new D1Events(db);
  const waker = new LogWaker(consoleLog());
  const admission = new CommandAdmission({ accessRights: () => readAccessRights(env), isEnrollmentProfile });
  const store = new D1Commands(db);
  const sweeper = new CommandSweeper({ store, devices, waker });
  const manifests = new ManifestCompiler({
    devices,
    source: new D1Assignments(db),
    sha256Hex,
    onMissed,
  });
  const due = new DueManifests({
    store: new D1Due(db),
    queue: new QueueDue(env.FANOUT, consoleLog()),
    manifests,
  });
  return { db, devices, index, isKnown, events, waker, admission, store, sweeper, manifests, due };
}

/** Both ends of the command queue, which need the key that commands are sealed with. */
export function commandsFor(env: Env, fleet: ReturnType<typeof fleetFor>, key: StorageKey) {
  const { store, devices, waker, isKnown, admission } = fleet;
  const contents = new CommandContents(commandSecrets(key));
  const queue = { devices, waker, contents, admission };
  const commands = new CommandQueue({ ...queue, store, isKnown });
  const gathered = () => {
    const database = new GatheringDatabase(env.DB);
    const index = new D1Devices(database);
    const known = (udid: Udid) => index.isKnown(udid);
    const gatheredQueue = new CommandQueue({ ...queue, store: new D1Commands(database), isKnown: known });
    const services: GatheredServices = {
      commands: gatheredQueue,
      devices: new FreshDirectory(index, devices),
    };
    return { ...services, database, isKnown: known };
  };
  const channel = new CommandChannel({
    store,
    devices,
    contents,
    waker,
    onGivenUp: (udid, commandUuid, status) =>
      consoleLog().event('command-given-up', { udid, commandUuid, reason: status }),
  });
  return { commands, gathered, channel, contents };
}

async function build(env: Env): Promise<Composition> {
  const config = await readConfig(env);
  const fleet = fleetFor(env);
  const { db, devices, index, isKnown, events, admission, manifests, due } = fleet;
  const authority = await importAuthority(config.caCertificatePem, config.caKeyPem.expose());
  const keys = await PairingTokenKeys.import(config.tokenKeys.expose());
  const storageKey = new StorageKey(await importSealKey(config.storageKey.expose()), new D1KeyMark(db));
  const { commands, gathered, channel, contents } = commandsFor(env, fleet, storageKey);

  const store = new D1Declarations(db);
  const rendered = new KvRendered(env.RENDERED);
  const { publicUrl } = config;
  const watchEnrollment = new WatchEnrollments({
    publicUrl,
    devices,
    directory: index,
    store,
    rendered,
    manifests,
    due,
    sha256Hex,
    newUuid: randomUuid,
    isKnown,
  });
  const library = new D1DeclarationLibrary(db);
  const groups = new D1Groups(db);
  const sets = new D1DeclarationSets(db);
  const declarations = new Declarations({
    store: library,
    rendered,
    due,
    sha256Hex,
    newUuid: randomUuid,
  });
  const sign = (profile: Bytes) => signAttached(profile, authority.signer);
  const cells = issuanceCells(env.ISSUANCE);
  const mint = new IssuanceMint(cells, randomBytes);
  const links = new OneTimeLinks(cells, randomBytes);
  const records = new D1CertificateRecords(db);
  const pairingStore = durablePairings(env.PAIRING);
  const register = new DeviceIdentityRegister(records, devices, pairingStore);
  const ownChain = new ChainVerifier({
    anchors: [authority.certificate],
    checkDates: false,
    sha1: false,
    rsaBitsMin: 2048,
  });
  const certificates = new CertificateAuthority(authority, config.organization);

  const machineInfo = machineInfoVerifier(
    // Apple's intermediates are expired, SHA-1 and RSA-1024; all three are allowed on this chain only.
    new ChainVerifier({
      anchors: config.deviceAnchors,
      requiredIssuers: config.deviceIssuers,
      checkDates: false,
      sha1: true,
      rsaBitsMin: 1024,
    }),
  );
  const profiles = profileBuilder(config, authority);
  const foreign = new ForeignIssuers(config.trustedIssuers, fetchJwks, () => epochMs(Date.now()));
  const pairing = new PairingService({
    publicUrl,
    store: pairingStore,
    phones: watchEnrollment,
    mint,
    machineInfo,
    tokens: tokenKeys(keys, { own: publicUrl, foreign }),
    profiles,
    newUuid: randomUuid,
    tokenLifeMs: config.pairingTokenSeconds * 1000,
  });
  const expectedDevices = new D1ExpectedDevices(db);
  const directory = new FreshDirectory(index, devices);
  const { uploads, ...profileRooms } = profileServices({
    ...{ publicUrl, db, devices, isKnown, commands, directory, gathered, sign, isEnrollmentProfile },
    library: declarations,
    storageKey,
  });
  const bindings = { bucket: env.PACKAGES as R2Bucket | undefined, queue: env.FANOUT };
  const apps = composeApps({ db, devices, directory, commands, isKnown, storageKey, publicUrl, ...bindings });
  const admin: AdminServices = {
    ...apps.admin,
    authenticator: new BootstrapKey(config.adminKey),
    devices: directory,
    inventory: new Inventories({
      store: new D1Inventory(db),
      devices,
      commands,
      admission: fleet.admission,
      waker: fleet.waker,
      isKnown,
    }),
    enrollments: new D1Enrollments(db),
    status: new DeviceStatusReader(devices, isKnown),
    events,
    pause: (ms) => scheduler.wait(ms),
    commands,
    commandAdvisor: new AvailableCommands({ devices, isKnown, admission }),
    gathered,
    watchEnrollment,
    pairings: new D1PairingReader(db, pairingStore),
    expectedDevices,
    enrollmentLinks: links,
    declarations,
    ...profileRooms,
    profileBuilder: new ProfileBuilds({
      ...{ sha256Hex, isEnrollmentProfile },
      fingerprint: uploadSeal(storageKey).fingerprint,
    }),
    sets: new Sets({ store: sets, groups, library, manifests, due, devices, isKnown, newUuid: randomUuid }),
    groups: new Groups({ store: groups, due, newUuid: randomUuid }),
    settings: new Settings({
      properties: new D1Properties(db),
      subscriptions: new D1Subscriptions(db),
      due,
      isKnown,
      newUuid: randomUuid,
    }),
    dryRuns: new DryRuns({
      devices,
      source: new D1Assignments(db),
      members: new D1Members(db),
      library,
      declarations,
      sets,
      groups,
      manifests,
      isKnown,
    }),
    ...policyServices({ db, devices, index, manifests, library, seal: uploadSeal(storageKey), contents }),
    newUuid: randomUuid,
    publicUrl,
    isEnrollmentProfile,
  };

  return {
    health: { environment: config.environment, anchors: config.anchorsArePublished ? 'apple' : 'simulated' },
    jwks: keys.publicJwks(),
    mdm: {
      verifier: new DeviceVerifier(ownChain, records),
      commands: channel,
      checkIn: new CheckInService({
        devices,
        pairing,
        declarations: new DeclarativeManagementService({ devices, store, rendered, manifests }),
        seal: deviceSeal(storageKey),
      }),
    },
    enroll: {
      pairing,
      phones: new PhoneEnrollment({
        machineInfo,
        expected: expectedDevices,
        standings: directory,
        links,
        mint,
        profiles,
        signer: { sign },
      }),
    },
    scep: {
      scep: new ScepService({
        authority,
        certificates,
        chain: ownChain,
        cells,
        register,
        records,
        random: randomBytes,
      }),
    },
    assets: { devices, store, uploads },
    packages: apps,
    admin,
    background: apps,
  };
}

function isEnrollmentProfile(identifier: string): boolean {
  return identifier === ENROLLMENT_PROFILE_IDENTIFIER;
}

function onMissed(udid: Udid, error: unknown): void {
  const errorCode = error instanceof EscapementError ? error.code : 'unknown';
  consoleLog().event('manifest-missed', { udid, errorCode, error: String(error) });
}

/** Where a device's object's messages go: D1 first, in one transaction, then the other owners. */
export function deviceOutbox(env: Env): DeviceOutboxPort {
  const pairings = durablePairings(env.PAIRING);
  return {
    async tell(messages) {
      const { db, due, waker } = fleetFor(env);
      const { deploymentsDue } = await recordDeviceMessages(db, messages);
      for (const message of messages) await tellOwner(message, { pairings, due, waker, onMissed });
      if (deploymentsDue) await tellDeployments(env);
    },
  };
}

/** They are marked in D1, and the sweeper makes good what fails here: messages must not wait for that. */
async function tellDeployments(env: Env): Promise<void> {
  try {
    await (await servicesFor(env)).background.carryOnTold(epochMs(Date.now()));
  } catch (error) {
    consoleLog().event('deployment-missed', { error: String(error) });
  }
}
