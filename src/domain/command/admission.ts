/**
 * Whether a device can be given a command: judged by the catalog before it is queued, from every side, so that an
 * administrator hears at once what the device would only say when it connects, or never. Its type, keys and values; the
 * device's platform, OS version, supervision and way of enrollment; the access rights that profiles grant now. What is
 * not known of the device is not held against it. Cases that the catalog cannot tell are in special-cases.ts.
 *
 * `allowUnknown` lets pass what the catalog does not know, keys and whole commands: Apple adds some every year. It never
 * lets pass what the catalog knows this device not to have. Of a command that nobody knows nothing is judged, its access
 * right and its consequences included.
 */
import { type KindCatalog, loadCatalog } from '../../protocol/catalog/catalog.ts';
import type { CatalogEntry } from '../../protocol/catalog/entry.ts';
import { type CatalogTarget, entryUnsupported, type Unsupported } from '../../protocol/catalog/support.ts';
import { type ContentProblem, PROBLEMS_MAX, validateIn } from '../../protocol/catalog/validate.ts';
import { type JsonObject, plistToJson } from '../../protocol/plist/json.ts';
import type { PlistDict } from '../../protocol/plist/value.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { readProfile } from '../declaration/profile-content.ts';
import type { DeviceDescription } from '../enrollment/device.ts';
import { type Alternative, type Lack, lackOf } from './lacking.ts';
import { judgeSpecialCase, lacksSpecially, type ReadingOfProfile, withEscrow } from './special-cases.ts';

export interface CommandProblem {
  /** In the `Command` dictionary: `Settings[0].Item`. */
  readonly path: string;
  /** Beside the catalog's: what is the server's own to say, what it lacks, and a profile that does not pass. */
  readonly rule: ContentProblem['rule'] | 'reserved' | 'unlock-token' | 'profile';
  /** For people: `watchOS 26.4 or later`. */
  readonly expected: string;
  /** Of what a platform does not have: why, and what it has instead. */
  readonly lack?: Lack;
}

export type CommandRefusal =
  /** This device takes no such command, whatever is in it. */
  | { readonly kind: 'unsupported-command'; readonly requestType: string; readonly problem: CommandProblem }
  | {
      readonly kind: 'invalid-command';
      readonly requestType: string;
      readonly problems: readonly CommandProblem[];
    };

export type JudgedDevice = Pick<
  DeviceDescription,
  'platform' | 'osVersion' | 'supervised' | 'hasUnlockToken' | 'productName'
>;

export interface JudgedCommand {
  readonly requestType: string;
  readonly command: PlistDict;
  readonly allowUnknown?: boolean;
}

/** What a device takes now, by type. */
export interface CommandAvailability {
  readonly requestType: string;
  readonly problem: CommandProblem | null;
}

export interface AdmissionOptions {
  /** A function, so that a deployment with a wrong value fails here and nowhere else. */
  readonly accessRights: () => number;
  /** Whether this `PayloadIdentifier` names the profile that enrolled a device here. */
  readonly isEnrollmentProfile: (identifier: string) => boolean;
}

export class CommandAdmission {
  readonly #options: AdmissionOptions;
  /** An order for many devices is the same bytes for all of them: a large profile is read once. */
  readonly #profiles = new WeakMap<Bytes, Map<boolean, ReadingOfProfile>>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  async judge(judged: JudgedCommand, device: JudgedDevice): Promise<Outcome<null, CommandRefusal>> {
    const { requestType, command, allowUnknown = false } = judged;
    const catalog = await loadCatalog('command');
    const target = this.#target(device);
    const entry = catalog.find(requestType);
    const problem = entry === null ? unknownType(allowUnknown) : typeProblem(entry, device, target);
    if (problem !== null) return refuse({ kind: 'unsupported-command', requestType, problem });
    if (entry === null) return ok(null);
    const content = withEscrow(requestType, plistToJson(command) as JsonObject);
    const problems = [
      ...contentProblems(catalog, requestType, content, { target, allowUnknown }),
      ...(await judgeSpecialCase(judged, target, (bytes) => this.#read(bytes, allowUnknown))),
    ];
    if (problems.length === 0) return ok(null);
    return refuse({ kind: 'invalid-command', requestType, problems: problems.slice(0, PROBLEMS_MAX) });
  }

  /** Every command of the catalog, by name. */
  async available(device: JudgedDevice): Promise<readonly CommandAvailability[]> {
    const target = this.#target(device);
    return (await loadCatalog('command')).list().map((entry) => ({
      requestType: entry.type,
      problem: typeProblem(entry, device, target),
    }));
  }

  #read(bytes: Bytes, allowUnknown: boolean): ReadingOfProfile {
    const known = this.#profiles.get(bytes) ?? new Map<boolean, ReadingOfProfile>();
    this.#profiles.set(bytes, known);
    const { isEnrollmentProfile } = this.#options;
    const reading = known.get(allowUnknown) ?? readProfile(bytes, { allowUnknown, isEnrollmentProfile });
    known.set(allowUnknown, reading);
    return reading;
  }

  #target({ platform, osVersion, supervised }: JudgedDevice): CatalogTarget {
    // Every enrollment here is one of the whole device.
    const accessRights = this.#options.accessRights();
    return { platform, osVersion, supervised, enrollment: 'device', accessRights };
  }
}

function unknownType(allowUnknown: boolean): CommandProblem | null {
  const expected = 'a command in the catalog';
  return allowUnknown ? null : { path: 'RequestType', rule: 'unknown-type', expected };
}

/** Why the device takes no command of this type; null when it does. */
function typeProblem(
  entry: CatalogEntry,
  device: JudgedDevice,
  target: CatalogTarget,
): CommandProblem | null {
  const special = lacksSpecially(entry, device);
  const unsupported = entryUnsupported(entry, target);
  if (unsupported === null) return special;
  return problemOf({ path: 'RequestType', ...unsupported }, entry.type, target);
}

function contentProblems(
  catalog: KindCatalog,
  requestType: string,
  content: JsonObject,
  { target, allowUnknown }: { readonly target: CatalogTarget; readonly allowUnknown: boolean },
): readonly CommandProblem[] {
  const valid = validateIn(catalog, requestType, content, target, { allowUnknown });
  if (valid.ok) return [];
  return valid.refusal.problems.map((problem) =>
    problemOf(problem, wordAt(requestType, content, problem.path), target),
  );
}

function problemOf(
  { path, rule, expected }: ContentProblem | (Unsupported & { readonly path: string }),
  word: string,
  { platform }: CatalogTarget,
): CommandProblem {
  const lacks = rule === 'platform' || rule === 'version' || rule === 'unknown-key';
  const lack = lacks ? lackOf(platform, word) : null;
  return { path, rule, expected, ...(lack === null ? {} : { lack }) };
}

/** What a path speaks of: `Settings.DeviceName`, `DeviceInformation.IMEI`, `EraseDevice.PIN`. */
function wordAt(requestType: string, content: JsonObject, path: string): string {
  const [, key = '', index] = /^([^.[]*)(?:\[(\d+)\])?/.exec(path) ?? [];
  const list = content[key];
  const item = Array.isArray(list) && index !== undefined ? list[Number(index)] : undefined;
  const word = typeof item === 'object' ? (item as JsonObject | null)?.['Item'] : item;
  return `${requestType}.${typeof word === 'string' ? word : key}`;
}

export type { Alternative, Lack };
