/**
 * Whether a device can have something: its platform, version, supervision, way of enrollment and the access rights
 * that were granted, against the rule of an entry or a key. What is not known of the device is not held against it.
 */
import type { Platform } from '../../domain/ids.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { ACCESS_RIGHTS, lacksRight } from '../mdm/access-rights.ts';
import type { CatalogEntry, CatalogKey, Enrollment, PlatformRule } from './entry.ts';
import { compareVersions, isVersion } from './version.ts';

export interface CatalogTarget {
  readonly platform: Platform;
  readonly osVersion?: string | null;
  readonly supervised?: boolean | null;
  readonly enrollment?: 'device' | 'user' | 'local' | null;
  /** What its enrollment profile grants. */
  readonly accessRights?: number;
}

export type SupportRule = 'platform' | 'version' | 'supervised' | 'enrollment' | 'access-right';

export interface Unsupported {
  readonly kind: 'unsupported';
  readonly rule: SupportRule;
  /** For people: `watchOS 26.4 or later`. */
  readonly expected: string;
}

export function supportedOn(entry: CatalogEntry, target: CatalogTarget): Outcome<CatalogEntry, Unsupported> {
  const unsupported = entryUnsupported(entry, target);
  return unsupported === null ? ok(entry) : refuse(unsupported);
}

export function entryUnsupported(entry: CatalogEntry, target: CatalogTarget): Unsupported | null {
  return judge(entry.platforms[target.platform] ?? null, target);
}

/** A key has what it does not say from the entry, which was judged before. */
export function keyUnsupported(key: CatalogKey, target: CatalogTarget | undefined): Unsupported | null {
  return target === undefined ? null : judge(key.platforms?.[target.platform], target);
}

/** Whether a key marked required must be there for this device; without one, for every device. */
export function isRequired(key: CatalogKey, target: CatalogTarget | undefined): boolean {
  if (key.required !== true || key.platforms === undefined) return key.required === true;
  if (target === undefined) {
    return Object.values(key.platforms).every((rule) => rule !== null && rule.userEnrollment !== 'required');
  }
  const rule = key.platforms[target.platform];
  if (rule === undefined) return true;
  if (rule === null || judge(rule, target) !== null) return false;
  return rule.userEnrollment !== 'required' || target.enrollment === 'user';
}

function judge(rule: PlatformRule | null | undefined, target: CatalogTarget): Unsupported | null {
  if (rule === undefined) return null;
  const { platform } = target;
  if (rule === null) return unsupported('platform', `not ${platform}`);
  const { introduced, removed } = rule;
  const version = target.osVersion ?? '';
  if (isVersion(version)) {
    if (introduced !== undefined && compareVersions(version, introduced) < 0) {
      return unsupported('version', `${platform} ${introduced} or later`);
    }
    if (removed !== undefined && compareVersions(version, removed) >= 0) {
      return unsupported('version', `${platform} before ${removed}`);
    }
  }
  if (rule.supervised && target.supervised === false) return unsupported('supervised', 'a supervised device');
  return judgeEnrollment(rule, target) ?? judgeRights(rule, target);
}

function judgeEnrollment(rule: PlatformRule, target: CatalogTarget): Unsupported | null {
  const ways = waysOf(target);
  const allowed = rule.enrollments;
  if (ways !== null && allowed !== undefined && !ways.some((way) => allowed.includes(way))) {
    const forSupervision = target.supervised === false && target.enrollment !== 'user';
    return forSupervision && allowed.includes('supervised')
      ? unsupported('supervised', 'a supervised device')
      : unsupported('enrollment', `${allowed.join(' or ')} enrollment`);
  }
  const user = target.enrollment === 'user';
  if (user && rule.userEnrollment === 'forbidden') return unsupported('enrollment', 'not user enrollment');
  return null;
}

function judgeRights(rule: PlatformRule, { accessRights }: CatalogTarget): Unsupported | null {
  const { accessRight } = rule;
  if (accessRight === undefined || accessRights === undefined) return null;
  if (!lacksRight(accessRights, accessRight)) return null;
  return unsupported('access-right', `the access right ${accessRight} (${ACCESS_RIGHTS[accessRight]})`);
}

/** What the device's enrollment may be called, as far as it is known. */
function waysOf({ supervised, enrollment }: CatalogTarget): readonly Enrollment[] | null {
  if (enrollment === 'user' || enrollment === 'local') return [enrollment];
  if (supervised === true) return ['supervised'];
  if (supervised === false) return enrollment === 'device' ? ['device'] : ['device', 'user', 'local'];
  return enrollment === 'device' ? ['device', 'supervised'] : null;
}

function unsupported(rule: SupportRule, expected: string): Unsupported {
  return { kind: 'unsupported', rule, expected };
}
