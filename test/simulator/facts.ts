/**
 * What a simulated device is and holds: what answers to commands look at and change, what its status reports tell,
 * and what a test may set beforehand (a passcode, an app in the store, how the user decides).
 */
import type { Buffer } from 'node:buffer';
import type { App, StoreApp, UserDecision } from './apps.ts';
import type { Json } from './declarations.ts';
import type { PlistDict } from './plist.ts';
import type { Reply } from './world.ts';

export interface CertificateFact {
  readonly name: string;
  readonly identity: boolean;
  readonly der: Buffer;
}

/** What the user chose; rules are judged against it (restrictions.ts). */
export interface PasscodeShape {
  length: number;
  simple: boolean;
  alphanumeric: boolean;
  complexCharacters: number;
}

export interface DeviceFacts {
  readonly udid: string;
  readonly serial: string;
  readonly product: string;
  readonly osVersion: string;
  readonly build: string;
  readonly modelName: string;
  readonly family: string;
  readonly supervised: boolean;
  readonly unlockToken: Buffer | null;
  /** What a test made of status items, by dotted name; null takes the item from the device. */
  readonly status: Map<string, Json>;
  /** Reasons, capitalized, why an item cannot be reported. */
  readonly statusErrors: Map<string, Json>;
  readonly push: () => { readonly token: Buffer; readonly magic: string };
  /** The identity that enrollment gave; profiles add theirs (profiles.ts). */
  readonly identities: () => readonly CertificateFact[];
  /** Of the enrollment profile. */
  readonly enrollment: () => { readonly identifier: string; readonly accessRights: number } | null;
  /** By PayloadIdentifier: the enrollment profile and what InstallProfile brought. */
  readonly profiles: Map<string, PlistDict>;
  /** Who signed them, by the same identifier. */
  readonly signers: Map<string, readonly Buffer[]>;
  /** From active declarations: their profiles, and `com.apple.configuration.passcode.settings`. */
  readonly declaredProfiles: () => readonly PlistDict[];
  readonly declaredPasscode: () => readonly Readonly<Record<string, Json>>[];
  /** By UUID. */
  readonly provisioning: Map<string, { readonly name: string; readonly expiry: Date | null }>;
  readonly apps: Map<string, App>;
  /** What is known of apps that are not here yet; any other is taken for a standalone one. */
  readonly store: Map<string, StoreApp>;
  readonly download: (url: string, what: string) => Promise<Reply>;
  /** How the user, or the network, decides about an app; everything installs unless told. */
  onInstall: (identifier: string) => UserDecision;
  /** True once rejections and failures are reported by ManagedApplicationList a single time. */
  forgetsOutcomes: boolean;
  /** The iPhone that a watch belongs to. */
  host: DeviceFacts | null;
  deviceName: string;
  organization: PlistDict | null;
  accessibility: PlistDict;
  locked: boolean;
  passcode: boolean;
  shape: PasscodeShape;
  /** False makes the passcode fail rules that this simulator does not know. */
  compliant: boolean;
  erased: boolean;
  /** Set by a command that ends the enrollment; acted on when the session is over. */
  leaving: 'erased' | 'profile-removed' | null;
}

/** What a person buys, and what is left after an erasure; a passcode comes with the next owner's setup. */
export function factoryState(modelName: string, serial: string) {
  const builtIn: App = {
    ...{ identifier: 'com.example.built-in', name: 'built-in', version: '1.0', externalVersion: 1 },
    ...{ managed: false, installed: true, state: 'UserInstalledApp', flags: 0 },
    ...{ configuration: null, attributes: null, coming: null },
  };
  return {
    apps: new Map([[builtIn.identifier, builtIn]]),
    deviceName: `${modelName} ${serial.slice(-4)}`,
    organization: null,
    accessibility: {} as PlistDict,
    locked: false,
    passcode: true,
    shape: { length: 6, simple: false, alphanumeric: false, complexCharacters: 0 },
    compliant: true,
  };
}

export function erase(facts: DeviceFacts): void {
  const { apps, ...plain } = factoryState(facts.modelName, facts.serial);
  Object.assign(facts, plain, { passcode: false, erased: true, host: null });
  for (const held of [facts.profiles, facts.signers, facts.provisioning, facts.apps]) held.clear();
  for (const [identifier, app] of apps) facts.apps.set(identifier, app);
}

/** Somebody sets the device up again after an erasure. */
export function setUp(facts: DeviceFacts): void {
  if (!facts.erased) return;
  facts.erased = false;
  facts.passcode = true;
}
