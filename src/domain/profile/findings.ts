/**
 * What is found while a profile is built. A problem is what a device would refuse, ignore or wait for in vain; a
 * warning is what works and should be known. Both name their place in the administrator's own words
 * (`payloads[0].keys.SSID_STR`), the rule and what was expected, and never a value: values may be secret.
 */
import type { ContentProblem } from '../../protocol/catalog/validate.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Platform } from '../ids.ts';
import type { ProfileWarning } from './warnings.ts';

export type FindingRule =
  | ContentProblem['rule']
  | ProfileWarning['rule']
  /** A payload's name: its form, or that another has it. */
  | 'name'
  /** A key of the envelope, which the server writes. */
  | 'reserved-key'
  /** A property list cannot hold it. */
  | 'plist'
  /** It names no payload of the profile, or one of the wrong kind. */
  | 'reference'
  /** Another key asks for this one. */
  | 'needed'
  /** Another key leaves no place for this one. */
  | 'conflict'
  /** One payload of the type at most. */
  | 'single'
  /** Text or a number of the wrong form. */
  | 'value'
  | 'certificate'
  | 'identity'
  | 'password'
  /** Nobody installs it by hand here. */
  | 'by-hand'
  /** Somebody would be asked, and a watch asks nobody. */
  | 'unattended'
  /** Warnings alone: */
  | 'deprecated'
  | 'weak'
  | 'ignored'
  | 'expired'
  | 'not-yet-valid'
  | 'server-trust'
  /** An iPhone's rule that its watch follows. */
  | 'mirrored';

export interface Finding {
  readonly path: string;
  readonly rule: FindingRule;
  /** For people. */
  readonly expected: string;
  /** Where it is so on this platform alone. */
  readonly platform?: Platform;
}

/** Enough to mend a profile by. */
export const FINDINGS_MAX = 50;

const PLATFORMS: readonly Platform[] = ['iOS', 'watchOS'];

export class Findings {
  readonly problems: Finding[] = [];
  readonly warnings: Finding[] = [];
  /** That the profile is for; null when it is for any. */
  readonly platform: Platform | null;
  readonly nowMs: EpochMs;

  constructor(platform: Platform | null, nowMs: EpochMs) {
    this.platform = platform;
    this.nowMs = nowMs;
  }

  /** The platforms that the profile may meet. */
  get platforms(): readonly Platform[] {
    return this.platform === null ? PLATFORMS : [this.platform];
  }

  /** The first of a place is kept: what follows there follows from it. */
  problem(finding: Finding): void {
    const known = this.problems.some(({ path }) => path === finding.path);
    if (!known && this.problems.length < FINDINGS_MAX) this.problems.push(finding);
  }

  warning(finding: Finding): void {
    if (this.warnings.length < FINDINGS_MAX) this.warnings.push(finding);
  }

  /** For what is below one place of the input. */
  at(place: string): PlacedFindings {
    return new PlacedFindings(this, place);
  }
}

/** What the rules of one payload write to; their paths begin at its keys. */
export class PlacedFindings {
  readonly all: Findings;
  readonly #place: string;

  constructor(all: Findings, place: string) {
    this.all = all;
    this.#place = place;
  }

  problem(path: string, rule: FindingRule, expected: string): void {
    this.all.problem({ path: this.#path(path), rule, expected });
  }

  warning(path: string, rule: FindingRule, expected: string): void {
    this.all.warning({ path: this.#path(path), rule, expected });
  }

  /** What holds on one platform: a problem in a profile for it, a warning in one for any, nothing in one for another. */
  on(platform: Platform, path: string, rule: FindingRule, expected: string): void {
    if (this.all.platform === platform) this.problem(path, rule, expected);
    else if (this.all.platform === null)
      this.all.warning({ path: this.#path(path), rule, expected, platform });
  }

  /** A warning that concerns one platform. */
  warningOn(platform: Platform, path: string, rule: FindingRule, expected: string): void {
    if (this.all.platforms.includes(platform))
      this.all.warning({ path: this.#path(path), rule, expected, platform });
  }

  #path(path: string): string {
    return path === '' ? this.#place : `${this.#place}.${path}`;
  }
}
