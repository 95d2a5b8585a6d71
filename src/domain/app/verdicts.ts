/**
 * What a device says of an app, and what that means for a deployment. The words are the catalog's: `Status` of
 * ManagedApplicationList, `State` and `RejectionReason` of InstallApplication; a status report's `mdm.app` has the
 * same words in lower case with hyphens.
 */
import type { Action, AppStatus } from './machine.ts';

export type Verdict =
  | { readonly kind: 'reached' }
  | { readonly kind: 'pending' }
  /** Trying again may help, unless `permanent`. */
  | { readonly kind: 'missed'; readonly reason: string; readonly permanent: boolean };

const REACHED: Verdict = { kind: 'reached' };
const PENDING: Verdict = { kind: 'pending' };

const missed = (reason: string, permanent = false): Verdict => ({ kind: 'missed', reason, permanent });

/** Of an install or an update, what is neither on its way nor there. */
const MISSED: Readonly<Record<string, Verdict>> = {
  UserRejected: missed('user-rejected'),
  UpdateRejected: missed('update-rejected'),
  ManagementRejected: missed('management-rejected'),
  Failed: missed('install-failed'),
  ManagedButUninstalled: missed('uninstalled'),
  // The person's own: only ChangeManagementState takes it over.
  UserInstalledApp: missed('user-installed', true),
};

/** Of a removal, what says that the app is not there, or not ours. */
const GONE: ReadonlySet<string> = new Set([
  'ManagedButUninstalled',
  'UserInstalledApp',
  'UserRejected',
  'ManagementRejected',
  'Unknown',
]);

export function judgeStatus(action: Action, status: AppStatus): Verdict {
  if (action === 'remove') return status === null || GONE.has(status) ? REACHED : PENDING;
  if (status === 'Managed') return REACHED;
  return (status === null ? undefined : MISSED[status]) ?? PENDING;
}

/** These say that the app is there or on its way. */
const NO_REJECTION: ReadonlySet<string> = new Set(['AppAlreadyInstalled', 'AppAlreadyQueued']);
/** Nothing that time mends. */
const PERMANENT: ReadonlySet<string> = new Set([
  'ManagementChangeNotSupported',
  'NotAnApp',
  'NotSupported',
  'PurchaseMethodNotSupported',
  'PurchaseMethodNotSupportedInMultiUser',
]);

/** Of an InstallApplication that the device took. */
export function judgeInstallAnswer(state: string | null, rejection: string | null): Verdict {
  if (rejection !== null && !NO_REJECTION.has(rejection))
    return missed(kebab(rejection), PERMANENT.has(rejection));
  return (state === null ? undefined : MISSED[state]) ?? PENDING;
}

/** `AppStoreDisabled` → `app-store-disabled`. */
function kebab(word: string): string {
  return word
    .replace(/(?<=[a-z])(?=[A-Z])/g, '-')
    .toLowerCase()
    .slice(0, 64);
}

/** `user-installed-app` → `UserInstalledApp`. */
export function fromReported(state: string): string {
  return state
    .split('-')
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
}
