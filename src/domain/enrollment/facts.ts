/**
 * What a device says of itself after it enrolled: in an answer to DeviceInformation, or in its status. It outranks what
 * was said at Authenticate, and the later word the earlier.
 */
import { isDict, type PlistDict } from '../../protocol/plist/value.ts';
import type { Enrollment } from './state.ts';

/** Null is "not told". */
export interface ReportedFacts {
  readonly productName: string | null;
  readonly osVersion: string | null;
  readonly buildVersion: string | null;
  readonly supervised: boolean | null;
}

/** Versions and models have some 10 characters; what is longer is none. */
const FACT_CHARS_MAX = 64;

/** Of an answer to DeviceInformation; null for any other. */
export function factsOfAnswer(answer: PlistDict): ReportedFacts | null {
  const told = answer.get('QueryResponses');
  if (told === undefined || !isDict(told)) return null;
  const supervised = told.get('IsSupervised');
  return {
    productName: factText(told.get('ProductName')),
    osVersion: factText(told.get('OSVersion')),
    buildVersion: factText(told.get('BuildVersion')),
    supervised: typeof supervised === 'boolean' ? supervised : null,
  };
}

export function factText(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= FACT_CHARS_MAX ? value : null;
}

/** The same enrollment if nothing differs. */
export function withFacts(enrollment: Enrollment, told: ReportedFacts): Enrollment {
  const productName = told.productName ?? enrollment.productName;
  const osVersion = told.osVersion ?? enrollment.osVersion;
  const buildVersion = told.buildVersion ?? enrollment.buildVersion;
  const supervised = told.supervised ?? enrollment.supervised;
  const same =
    productName === enrollment.productName &&
    osVersion === enrollment.osVersion &&
    buildVersion === enrollment.buildVersion &&
    supervised === enrollment.supervised;
  return same ? enrollment : { ...enrollment, productName, osVersion, buildVersion, supervised };
}
