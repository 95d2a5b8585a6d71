/**
 * Apps on a device, by bundle identifier; on a watch that is the watch's own (facts 12). An installation takes a poll
 * a step: Queued, Installing, Managed, unless the user or the network decides otherwise. A paired or dependent watch
 * app is refused while its iPhone app is not managed and installed, and goes when that goes.
 */
import type { Answer } from './answers.ts';
import { type Manifest, packageProblem, readManifest } from './app-manifests.ts';
import type { DeviceFacts } from './facts.ts';
import { isDict, type Plist, type PlistDict } from './plist.ts';
import { refusal } from './refusals.ts';

export type AppState =
  | 'Queued'
  | 'Prompting'
  | 'PromptingForManagement'
  | 'Installing'
  | 'Updating'
  | 'Managed'
  | 'ManagedButUninstalled'
  | 'UserInstalledApp'
  | 'UserRejected'
  | 'UpdateRejected'
  | 'ManagementRejected'
  | 'Failed';

export type UserDecision = 'install' | 'reject' | 'fail' | 'wait';

export interface StoreApp {
  readonly name: string;
  readonly version: string;
  readonly externalVersion: number;
  readonly iTunesStoreId?: number;
  /** Of a watch app: what it needs on the iPhone. Standalone unless told. */
  readonly kind?: 'standalone' | 'paired' | 'dependent';
  readonly companion?: string;
}

export interface App {
  readonly identifier: string;
  name: string;
  version: string;
  externalVersion: number;
  managed: boolean;
  installed: boolean;
  state: AppState;
  flags: number;
  configuration: PlistDict | null;
  attributes: PlistDict | null;
  /** What is being installed. */
  coming: { readonly app: StoreApp; readonly manifest: Manifest | null } | null;
}

const TRANSIT: readonly AppState[] = [
  'Queued',
  'Prompting',
  'PromptingForManagement',
  'Installing',
  'Updating',
];
const OUTCOMES: readonly AppState[] = ['UserRejected', 'UpdateRejected', 'ManagementRejected', 'Failed'];

export function appAnswers(facts: DeviceFacts): [string, Answer][] {
  return [
    ['InstallApplication', (command) => installApplication(facts, command)],
    ['RemoveApplication', (command) => removeApplication(facts, String(command['Identifier']))],
    ['InstalledApplicationList', (command) => ({ InstalledApplicationList: installedList(facts, command) })],
    ['ManagedApplicationList', (command) => ({ ManagedApplicationList: managedList(facts, command) })],
    [
      'ManagedApplicationAttributes',
      (command) => ({
        ApplicationAttributes: managedOf(facts, command).map(({ identifier, attributes }) => ({
          Identifier: identifier,
          ...(attributes === null ? {} : { Attributes: attributes }),
        })),
      }),
    ],
    [
      'ManagedApplicationConfiguration',
      (command) => ({
        ApplicationConfigurations: managedOf(facts, command).map(({ identifier, configuration }) => ({
          Identifier: identifier,
          ...(configuration === null ? {} : { Configuration: configuration }),
        })),
      }),
    ],
  ];
}

function rejected(reason: string, text: string): PlistDict {
  return { ...refusal(12023, 'MCMDMErrorDomain', text), RejectionReason: reason };
}

interface Wanted {
  readonly identifier: string;
  readonly app: StoreApp;
  readonly manifest: Manifest | null;
}

async function installApplication(facts: DeviceFacts, command: PlistDict): Promise<PlistDict> {
  const wanted = await wantedApp(facts, command);
  if (typeof wanted === 'string') return rejected('CouldNotVerifyAppID', wanted);
  const { identifier, app } = wanted;
  const held = facts.apps.get(identifier);
  if (held !== undefined && TRANSIT.includes(held.state)) {
    return rejected('AppAlreadyQueued', `“${identifier}” is being installed.`);
  }
  const takeOver = command['ChangeManagementState'] === 'Managed';
  if (held?.installed === true && !held.managed && !takeOver) {
    return rejected('AppAlreadyInstalled', `“${identifier}” is installed, and not managed.`);
  }
  if (needsCompanion(app) && !hasCompanion(facts, app)) {
    return rejected('Other', `“${identifier}” needs “${String(app.companion)}” on the iPhone.`);
  }
  const state = begin(facts, held, wanted, command);
  return { Identifier: identifier, State: state };
}

/** Why there is no such app, as text. */
async function wantedApp(facts: DeviceFacts, command: PlistDict): Promise<Wanted | string> {
  const { Identifier: named, iTunesStoreID: id, ManifestURL: url } = command;
  if (typeof named === 'string') return { identifier: named, app: storeApp(facts, named), manifest: null };
  if (typeof id === 'number') {
    const found = [...facts.store].find(([, app]) => app.iTunesStoreId === id)?.[0];
    const identifier = found ?? `com.example.app${id}`;
    return { identifier, app: storeApp(facts, identifier), manifest: null };
  }
  if (typeof url !== 'string') return 'Identifier, iTunesStoreID and ManifestURL are missing.';
  const manifest = await readManifest(facts, url);
  if (typeof manifest === 'string') return manifest;
  const { identifier, name, version } = manifest;
  const known = facts.store.get(identifier);
  return { identifier, app: { externalVersion: 0, ...known, name, version }, manifest };
}

function storeApp(facts: DeviceFacts, identifier: string): StoreApp {
  const unknown = { name: identifier.split('.').at(-1) ?? identifier, version: '1.0', externalVersion: 1 };
  return facts.store.get(identifier) ?? unknown;
}

function needsCompanion({ kind }: StoreApp): boolean {
  return kind === 'paired' || kind === 'dependent';
}

function hasCompanion(facts: DeviceFacts, { companion }: StoreApp): boolean {
  const app = companion === undefined ? undefined : facts.host?.apps.get(companion);
  return app?.installed === true && app.managed;
}

function begin(facts: DeviceFacts, held: App | undefined, wanted: Wanted, command: PlistDict): AppState {
  const { identifier, app, manifest } = wanted;
  const one: App = held ?? {
    ...{ identifier, name: app.name, version: app.version, externalVersion: app.externalVersion },
    ...{ managed: true, installed: false, state: 'Queued', flags: 0 },
    ...{ configuration: null, attributes: null, coming: null },
  };
  one.flags = typeof command['ManagementFlags'] === 'number' ? command['ManagementFlags'] : one.flags;
  if (isDict(command['Configuration'])) one.configuration = command['Configuration'];
  if (isDict(command['Attributes'])) one.attributes = command['Attributes'];
  facts.apps.set(identifier, one);
  if (one.installed && !one.managed) return takeOver(facts, one);
  const same =
    one.version === app.version && one.externalVersion === app.externalVersion && manifest === null;
  if (one.installed && same) one.state = 'Managed';
  else {
    one.coming = { app, manifest };
    one.state = one.installed ? 'Updating' : 'Queued';
  }
  return one.state;
}

/** Without supervision the user is asked. */
function takeOver(facts: DeviceFacts, one: App): AppState {
  one.managed = facts.supervised;
  one.state = facts.supervised ? 'Managed' : 'PromptingForManagement';
  return one.state;
}

/** A step for each app on its way; at the start of a session, so that a poll sees each state. */
export async function advanceApps(facts: DeviceFacts): Promise<void> {
  for (const app of facts.apps.values()) {
    if (TRANSIT.includes(app.state)) await advance(facts, app);
    else if (app.installed && app.managed && orphaned(facts, app)) uninstalledByUser(facts, app.identifier);
  }
}

function orphaned(facts: DeviceFacts, { identifier }: App): boolean {
  const known = facts.store.get(identifier);
  return known !== undefined && needsCompanion(known) && !hasCompanion(facts, known);
}

async function advance(facts: DeviceFacts, app: App): Promise<void> {
  if (app.state === 'Installing') return finish(facts, app);
  const decision = facts.onInstall(app.identifier);
  if (decision === 'wait') {
    if (app.state === 'Queued') app.state = 'Prompting';
    return;
  }
  if (decision === 'fail') return end(app, 'Failed');
  if (decision === 'reject') return end(app, REJECTED[app.state] ?? 'UserRejected');
  if (app.state === 'PromptingForManagement') {
    app.managed = true;
    app.state = 'Managed';
  } else if (app.state === 'Updating') await finish(facts, app);
  else app.state = 'Installing';
}

const REJECTED: Partial<Record<AppState, AppState>> = {
  Updating: 'UpdateRejected',
  PromptingForManagement: 'ManagementRejected',
};

function end(app: App, state: AppState): void {
  app.coming = null;
  app.state = state;
}

async function finish(facts: DeviceFacts, app: App): Promise<void> {
  const { coming } = app;
  const problem = coming?.manifest == null ? null : await packageProblem(facts, coming.manifest);
  if (problem !== null) return end(app, 'Failed');
  if (coming !== null) {
    const { name, version, externalVersion } = coming.app;
    Object.assign(app, { name, version, externalVersion });
  }
  app.installed = true;
  end(app, 'Managed');
}

/** The user deletes it from the device; a managed one is still managed. */
export function uninstalledByUser(facts: DeviceFacts, identifier: string): void {
  const app = facts.apps.get(identifier);
  if (app === undefined) return;
  if (!app.managed) facts.apps.delete(identifier);
  else Object.assign(app, { installed: false, state: 'ManagedButUninstalled', coming: null });
}

function removeApplication(facts: DeviceFacts, identifier: string): PlistDict {
  if (facts.apps.get(identifier)?.managed !== true) {
    return refusal(12027, 'MCMDMErrorDomain', `The app “${identifier}” is not managed.`);
  }
  facts.apps.delete(identifier);
  return {};
}

/** What is wrong, or null once it is done: only a managed app takes a configuration. */
export function configureApp(facts: DeviceFacts, identifier: string, value: PlistDict | null): string | null {
  const app = facts.apps.get(identifier);
  if (app?.managed !== true) return `The app “${identifier}” is not managed.`;
  app.configuration = value;
  return null;
}

export function setAppAttributes(
  facts: DeviceFacts,
  identifier: string,
  value: PlistDict | null,
): string | null {
  const app = facts.apps.get(identifier);
  if (app?.managed !== true) return `The app “${identifier}” is not managed.`;
  app.attributes = value;
  return null;
}

function strings(value: Plist | undefined): string[] | null {
  return Array.isArray(value) ? value.map(String) : null;
}

function managedOf(facts: DeviceFacts, command: PlistDict): App[] {
  const asked = strings(command['Identifiers']);
  return [...facts.apps.values()].filter(
    (app) => app.managed && (asked === null || asked.includes(app.identifier)),
  );
}

function installedList(facts: DeviceFacts, command: PlistDict): PlistDict[] {
  const asked = strings(command['Identifiers']);
  const items = strings(command['Items']);
  return [...facts.apps.values()]
    .filter((app) => app.installed || app.state === 'Installing')
    .filter((app) => asked === null || asked.includes(app.identifier))
    .filter((app) => app.managed || command['ManagedAppsOnly'] !== true)
    .map((app) => installedItem(facts, app, items));
}

/** From OS 26 the sizes are only told when they are asked for (facts 16). */
function installedItem(facts: DeviceFacts, app: App, items: readonly string[] | null): PlistDict {
  const all: PlistDict = {
    Identifier: app.identifier,
    Name: app.name,
    Version: app.version,
    ShortVersion: app.version,
    ExternalVersionIdentifier: app.externalVersion,
    BundleSize: 4_200_000,
    DynamicSize: 16_384,
    IsValidated: true,
    Installing: app.state === 'Installing' || app.state === 'Updating',
    AppStoreVendable: app.coming?.manifest == null,
    BetaApp: false,
    AdHocCodeSigned: false,
    HasUpdateAvailable: (facts.store.get(app.identifier)?.externalVersion ?? 0) > app.externalVersion,
  };
  const costly = Number(facts.osVersion.split('.')[0]) >= 26 ? ['BundleSize', 'DynamicSize'] : [];
  const told = (key: string) => (items === null ? !costly.includes(key) : items.includes(key));
  return Object.fromEntries(Object.entries(all).filter(([key]) => key === 'Identifier' || told(key)));
}

function managedList(facts: DeviceFacts, command: PlistDict): PlistDict {
  const asked = strings(command['Identifiers']);
  const shown = [...facts.apps.values()].filter(
    (app) =>
      (app.managed || app.state === 'ManagementRejected') &&
      (asked === null || asked.includes(app.identifier)),
  );
  const list = Object.fromEntries(shown.map((app) => [app.identifier, managedStatus(app)]));
  if (facts.forgetsOutcomes) for (const app of shown) forget(facts, app);
  return list;
}

/** Some states are transient: told once, then it is as if nothing had been asked. */
function forget(facts: DeviceFacts, app: App): void {
  if (!OUTCOMES.includes(app.state)) return;
  if (app.installed) app.state = app.managed ? 'Managed' : 'UserInstalledApp';
  else facts.apps.delete(app.identifier);
}

function managedStatus(app: App): PlistDict {
  return {
    Status: app.state,
    ManagementFlags: app.flags,
    UnusedRedemptionCode: '',
    HasConfiguration: app.configuration !== null,
    HasFeedback: false,
    IsValidated: true,
    ExternalVersionIdentifier: app.externalVersion,
  };
}

/** For the status item `mdm.app`: `ManagedButUninstalled` is `managed-but-uninstalled`. */
export function stateInStatus(state: AppState): string {
  return state.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
}
