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

/** A rejection. Whether the app is ours is then the question, and the device's list of managed apps the answer. */
export const ALREADY_INSTALLED = 'AppAlreadyInstalled';

/** The Status that answers a RemoveApplication. Not there, or not ours, is as good as removed: the list decides likewise. */
export const REMOVAL_FAILED = 'Error';

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

/** `before` is what was last known: a device that has the app and does not list it does not manage it. */
export function judgeStatus(action: Action, status: AppStatus, before: string | null = null): Verdict {
  if (action === 'remove') {
    if (status === null || GONE.has(status)) return REACHED;
    return before === REMOVAL_FAILED ? missed('command-error') : PENDING;
  }
  if (status === 'Managed') return REACHED;
  if (status === null && before === ALREADY_INSTALLED) return missed('user-installed', true);
  return (status === null ? undefined : MISSED[status]) ?? PENDING;
}

/** These say that the app is there or on its way. */
const NO_REJECTION: ReadonlySet<string> = new Set([ALREADY_INSTALLED, 'AppAlreadyQueued']);
/** Nothing that time mends. */
const PERMANENT: ReadonlySet<string> = new Set([
  'ManagementChangeNotSupported',
  'NotAnApp',
  'NotSupported',
  'PurchaseMethodNotSupported',
  'PurchaseMethodNotSupportedInMultiUser',
]);

/** Of the answer to InstallApplication. */
export function judgeInstallAnswer(state: string | null, rejection: string | null): Verdict {
  if (rejection !== null && !NO_REJECTION.has(rejection))
    return missed(rejectionReason(rejection), PERMANENT.has(rejection));
  return (state === null ? undefined : MISSED[state]) ?? PENDING;
}

/** `AppStoreDisabled` → `app-store-disabled`. */
export function rejectionReason(word: string): string {
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
