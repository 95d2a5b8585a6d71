/**
 * How a device behaves towards commands when a test wants it awkward: not now, with an error, or slowly. By
 * RequestType, and so many times; then it is its ordinary self again.
 */
import type { PlistDict } from './plist.ts';
import { refusal } from './refusals.ts';

export const EVERY = '*';

export class Manners {
  readonly #notNow = new Map<string, number>();
  readonly #errors = new Map<string, PlistDict[]>();
  readonly #slowMs = new Map<string, number>();
  /** NotNow while the screen is locked, to all but what a locked device answers (facts 3). */
  deferWhenLocked = false;

  /** NotNow the next `times`; `EVERY` stands for any type. */
  defer(requestType: string, times: number): void {
    this.#notNow.set(requestType, times);
  }

  /** The next one is answered with this instead, and not carried out. */
  fail(requestType: string, answer: PlistDict = refusal(12000, 'MCMDMErrorDomain', 'As asked for.')): void {
    this.#errors.set(requestType, [...(this.#errors.get(requestType) ?? []), answer]);
  }

  /** Every answer takes this long. */
  slow(requestType: string, delayMs: number): void {
    this.#slowMs.set(requestType, delayMs);
  }

  delayMs(requestType: string): number {
    return this.#slowMs.get(requestType) ?? this.#slowMs.get(EVERY) ?? 0;
  }

  /** What it answers instead of carrying the command out. */
  instead(requestType: string, locked: boolean): PlistDict | null {
    if (this.deferWhenLocked && locked && !ANSWERED_LOCKED.includes(requestType)) return { Status: 'NotNow' };
    for (const key of [requestType, EVERY]) {
      const left = this.#notNow.get(key) ?? 0;
      if (left > 0) {
        this.#notNow.set(key, left - 1);
        return { Status: 'NotNow' };
      }
      const answer = this.#errors.get(key)?.shift();
      if (answer !== undefined) return answer;
    }
    return null;
  }
}

/** Apple's list for iOS; for watchOS nothing is said. */
const ANSWERED_LOCKED = [
  'DeviceInformation',
  'ProfileList',
  'DeviceLock',
  'EraseDevice',
  'ClearPasscode',
  'ProvisioningProfileList',
  'InstalledApplicationList',
  'Restrictions',
];
