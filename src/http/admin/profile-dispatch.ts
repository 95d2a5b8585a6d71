/** How an order of profiles goes out, and to whom, read from a request. */
import type { DeploymentFilter, ProfileDispatch } from '../../domain/admin/profile-services.ts';
import type { Udid } from '../../domain/ids.ts';
import type { ProfileTargets } from '../../domain/profile/many-profiles.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import { isNear } from './command-order.ts';
import { decodeCursor } from './cursor.ts';
import type { RequestRefusal } from './refusals.ts';
import { EXPIRY_DAYS_MAX } from './schemas/command.ts';

interface DispatchBody {
  readonly push: boolean;
  readonly expiresAt?: EpochMs | undefined;
}

interface TargetBody {
  readonly devices?: readonly Udid[] | undefined;
  readonly group?: string | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
}

export interface AskedTargets {
  readonly targets: ProfileTargets;
  /** Of the answer's cursor. */
  readonly scope: string;
}

export function readDispatch(
  { push, expiresAt }: DispatchBody,
  nowMs: EpochMs,
): Outcome<Omit<ProfileDispatch, 'confirmedSerial'>, RequestRefusal> {
  if (expiresAt !== undefined && !isNear(expiresAt, nowMs))
    return invalid('/expiresAt', `a time after now and at most ${EXPIRY_DAYS_MAX} days away`);
  return ok({ push, expiresAtMs: expiresAt ?? null });
}

/** Without devices and without a group it is those that the record has, by `filter`. */
export function readTargets(
  { devices, group, cursor, limit }: TargetBody,
  identifier: string,
  filter: DeploymentFilter,
): Outcome<AskedTargets, RequestRefusal> {
  if (devices !== undefined) {
    if (cursor !== undefined) return invalid('/cursor', 'a group beside it, or none');
    return ok({ targets: { kind: 'devices', udids: devices }, scope: '' });
  }
  const scope = `profile ${identifier} ${group === undefined ? filter : `group ${group}`}`;
  const from = decodeCursor(scope, cursor);
  if (!from.ok) return from;
  const page = { cursor: from.value, limit };
  const targets: ProfileTargets =
    group === undefined ? { kind: 'record', filter, page } : { kind: 'group', name: group, page };
  return ok({ targets, scope });
}

function invalid(path: string, expected: string) {
  return refuse<RequestRefusal>({ kind: 'invalid', errors: [{ path, expected }] });
}
