/** What the admin API asks of a change before it is made: which devices would change, and how. */

import type { Outcome } from '../../std/outcome.ts';
import type { Withheld } from '../declaration/compile.ts';
import type { DeclarationInput } from '../declaration/draft.ts';
import type { AssignmentTarget } from '../declaration/hypothesis.ts';
import type { DeclarationKind } from '../declaration/manifest.ts';
import type { DeviceProperties } from '../declaration/properties.ts';
import type { Udid } from '../ids.ts';
import type {
  PutRefusal,
  SetAssignGroupRefusal,
  SetAssignRefusal,
  SetPutRefusal,
} from './declaration-services.ts';
import type { MalformedCursor, Page, PageQuery } from './services.ts';

export type ProposedChange =
  | { readonly kind: 'declaration'; readonly identifier: string; readonly input: DeclarationInput }
  | { readonly kind: 'set'; readonly name: string; readonly declarations: readonly string[] }
  | { readonly kind: 'assign'; readonly set: string; readonly target: AssignmentTarget }
  | { readonly kind: 'unassign'; readonly set: string; readonly target: AssignmentTarget }
  | { readonly kind: 'properties'; readonly udid: Udid; readonly properties: DeviceProperties };

/** Those of the call that would make the change, but for what it is based on. */
export type DryRunRefusal =
  | MalformedCursor
  | Exclude<PutRefusal, { readonly kind: 'precondition-failed' }>
  | SetPutRefusal
  | SetAssignRefusal
  | SetAssignGroupRefusal;

export interface ForecastChange {
  readonly identifier: string;
  readonly kind: DeclarationKind;
  readonly change: 'add' | 'replace' | 'remove';
}

export interface ActivationForecast {
  readonly identifier: string;
  /** Null where the last status does not tell. */
  readonly active: boolean | null;
  /** Why it does not tell; or that the device does not have all its configurations, so that it fails. */
  readonly doubt: string | null;
}

/** Against what the device is to hold now. */
export interface ManifestForecast {
  readonly udid: Udid;
  readonly changes: readonly ForecastChange[];
  readonly withheld: readonly (Withheld & { readonly identifier: string })[];
  /** Every activation that the device would hold. */
  readonly activations: readonly ActivationForecast[];
}

export interface DryRunner {
  /** By UDID, only devices that would change; a page looks at no more devices than it may list. */
  forecast(change: ProposedChange, page: PageQuery): Promise<Outcome<Page<ManifestForecast>, DryRunRefusal>>;
}
