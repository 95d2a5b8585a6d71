/**
 * An iPhone and an Apple Watch that hold real keys and share no code with the server: the front door of the
 * simulator, for tests in workerd, for the demo, and for `npm run simulate` over HTTP.
 */

export type { Answer } from './answers.ts';
export { type App, type AppState, type StoreApp, type UserDecision, uninstalledByUser } from './apps.ts';
export * as attacks from './attacks.ts';
export type { NameParts, X509 } from './certificate.ts';
export { fromPem, readCertificate, readName, toPem } from './certificate.ts';
export { open as openSigned, sign as signCms } from './cms.ts';
export type { SyncLog, SyncOptions } from './ddm.ts';
export type { Judgment, Reason } from './declarations.ts';
export { type DeviceOptions, ManagedDevice } from './device.ts';
export type { DeviceFacts } from './facts.ts';
export { DeviceKey, KeyPool } from './keys.ts';
export { EVERY, Manners } from './manners.ts';
export type { SigningMode } from './messages.ts';
export {
  type MischiefLog,
  type MischiefRates,
  type MischievousWorld,
  ORDINARY_MISCHIEF,
  withMischief,
} from './mischief.ts';
export { SimulatedPhone, type TokenAnswer, type TokenRequest } from './phone.ts';
export { type Plist, type PlistDict, readDict, readPlist, writePlist } from './plist.ts';
export { type EnrollmentProfile, readEnrollmentProfile } from './profile.ts';
export { Random } from './random.ts';
export type { RefusalDocument } from './refusal.ts';
export { refusal } from './refusals.ts';
export { ScepClient, ScepFailure, type ScepOptions, type ScepOrder } from './scep.ts';
export type { AnsweredCommand, CommandStatus, ConnectLog, ConnectOptions } from './session.ts';
export { type PairingOptions, type PairingOutcome, type ProfileAnswer, SimulatedWatch } from './watch.ts';
export {
  createDeviceCa,
  createWorld,
  type DeviceCa,
  type Reply,
  ReplyLost,
  SimulatorError,
  type TraceEvent,
  type World,
  type WorldOptions,
} from './world.ts';
