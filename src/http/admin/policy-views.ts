/** The effective policy as the API shows it, and its warnings in words. */
import type {
  EffectivePolicy,
  InForce,
  Observation,
  PolicyContribution,
  PolicyRow,
  PolicyWarning,
  UnreadSource,
} from '../../domain/admin/policy-services.ts';
import type { EpochMs } from '../../std/time.ts';
import { timestamp } from './views.ts';

export function policyView(policy: EffectivePolicy, nowMs: EpochMs) {
  const { udid, platform, osVersion, state, phone, passcode, rows, reaches, warnings } = policy;
  return {
    device: { udid, platform, osVersion, state },
    at: timestamp(nowMs),
    ...(platform === 'watchOS'
      ? {
          phone:
            phone === null
              ? null
              : { udid: phone.udid, state: phone.state, lastSeenAt: timestamp(phone.lastSeenAtMs) },
        }
      : {}),
    passcode: {
      present: observationView(passcode.present),
      compliant: observationView(passcode.compliant),
    },
    rows: rows.map(rowView),
    ...(platform === 'iOS' ? { reaches } : {}),
    warnings: warnings.map(warningView),
  };
}

function rowView(row: PolicyRow) {
  const { domain, key, value, decided, certain, own, rule, source, origin, contributors } = row;
  return {
    domain,
    key,
    value,
    decided,
    certain,
    own,
    rule: { ...rule, source },
    origin,
    inForce: observationView(row.inForce),
    contributors: contributors.map(contributorView),
  };
}

function contributorView({ because, ...one }: PolicyContribution) {
  return { ...one, counts: because === null, ...(because === null ? {} : { because }) };
}

function observationView({ value, by, asOfMs }: InForce | Observation) {
  return { value, by, asOf: asOfMs === null ? null : timestamp(asOfMs) };
}

function warningView(warning: PolicyWarning) {
  const message = messageOf(warning);
  switch (warning.kind) {
    case 'phone-stale': {
      const { kind, phone, lastSeenAtMs } = warning;
      return { kind, phone, lastSeenAt: timestamp(lastSeenAtMs), message };
    }
    case 'presumed-gone': {
      const { atMs, ...gone } = warning;
      return { ...gone, since: timestamp(atMs), message };
    }
    default:
      return { ...warning, message };
  }
}

const UNREAD: Readonly<Record<UnreadSource, string>> = {
  foreign: 'its profile is served elsewhere',
  changed: 'its content just changed; ask again',
  deleted: 'it is on the device and no longer stored here',
  unreadable: 'its profile cannot be opened or read',
  limit: 'it holds more than one answer looks at',
};

function messageOf(warning: PolicyWarning): string {
  switch (warning.kind) {
    case 'device-checked-out':
      return 'The device left management: nothing that was set here applies to it any more.';
    case 'presumed-gone':
      return 'The device is expected to have left: what it reported before does not show that anything is in force.';
    case 'phone-unknown':
      return 'The iPhone of this watch is not known here: what it mirrors to the watch cannot be shown.';
    case 'phone-checked-out':
      return 'The iPhone left management, which unenrolls, unpairs and erases its managed watch. Nothing is mirrored.';
    case 'phone-stale':
      return 'The iPhone has been silent for two days: what it mirrors may have changed.';
    case 'watch-only':
      return 'Of these the watch has a stricter rule than its iPhone. They stay there: nothing flows from a watch to its iPhone.';
    case 'passcode-forced-by-phone':
      return "The iPhone's passcode rules make its managed watch ask for a passcode too.";
    case 'alphanumeric-on-phone':
      return 'An alphanumeric passcode on the iPhone makes the user unlock the watch with the iPhone.';
    case 'paired-watch-forbidden':
      return 'The iPhone may have no watch (allowPairedWatch is false): its watch is unpaired and erased.';
    case 'always-on-vpn':
      return 'An always-on VPN on the iPhone excludes the watch: it cannot pair, and a paired one loses all traffic through the iPhone.';
    case 'deprecated-key':
      return warning.replacement === null
        ? `Deprecated since ${warning.since}.`
        : `Deprecated since ${warning.since}: use ${warning.replacement}.`;
    case 'unsupported-key':
      return `The device does not know or ignores these: they need ${warning.expected}.`;
    case 'unknown-key':
      return 'The catalog does not know these: all values are shown, and none is said to be stricter.';
    case 'conflict':
      return 'Several profiles set these to different values.';
    case 'same-profile':
      return 'Profiles with one PayloadIdentifier replace each other: only the one installed last is on the device.';
    case 'foreign-profiles':
      return 'The device lists profiles with rules that did not come from here, or longer ago than commands are kept: their rules are not shown.';
    case 'weaker-by-combine':
      return "Apple's schema combines these declarations to a value that is not the strictest of them.";
    case 'zero-undocumented':
      return 'One source says 0, which Apple does not document here; it is taken as "no limit".';
    case 'withheld':
      return `The device is not given this declaration: it needs ${warning.expected}.`;
    case 'source-unread':
      return `Rules of this source are not shown: ${UNREAD[warning.reason]}.`;
    default:
      return warning satisfies never;
  }
}
