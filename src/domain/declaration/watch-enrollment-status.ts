/** How far an assigned iPhone got with watch enrollment, and why it went no further. */
import type { WatchEnrollmentBlock, WatchEnrollmentStage, WatchEnrollmentStatus } from '../admin/services.ts';
import type { DescribedDeclaration, DeviceDescription } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { CompiledDeclaration } from './compile.ts';
import type { WatchEnrollmentAssignment } from './ports.ts';

export interface WatchEnrollmentFacts {
  readonly device: DeviceDescription;
  readonly assignment: WatchEnrollmentAssignment | null;
  readonly compiled: readonly CompiledDeclaration[];
  /** Pairings that the iPhone claimed. */
  readonly pairings: number;
}

export function describeWatchEnrollment(phone: Udid, facts: WatchEnrollmentFacts): WatchEnrollmentStatus {
  const { device, assignment, pairings } = facts;
  const compiled = facts.compiled.filter((one) => one.origin.setting === 'watch-enrollment');
  const held = (kind: CompiledDeclaration['kind']) =>
    device.declarations.filter((one) => one.kind === kind && compiled.some((own) => isSame(own, one)));
  const configuration = held('configuration')[0];
  const delivered = configuration?.fetched ?? false;
  const active = configuration?.status?.active ?? null;
  const stage = stageOf({ assigned: assignment !== null, delivered, active: active === true, pairings });
  return {
    phone,
    assigned: assignment !== null,
    group: assignment?.group ?? null,
    stage,
    assignedAtMs: assignment?.assignedAtMs ?? null,
    anchors: assignment?.anchors ?? [],
    delivered,
    active,
    valid: configuration?.status?.valid ?? null,
    reasons: configuration?.status?.reasons ?? [],
    blockedBy: assignment === null ? null : blockOf(device, compiled, held('asset'), configuration),
    pairings,
  };
}

function isSame(compiled: CompiledDeclaration, held: DescribedDeclaration): boolean {
  return compiled.identifier === held.identifier && compiled.serverToken === held.serverToken;
}

function stageOf(reached: {
  readonly assigned: boolean;
  readonly delivered: boolean;
  readonly active: boolean;
  readonly pairings: number;
}): WatchEnrollmentStage {
  if (!reached.assigned) return 'unassigned';
  if (!reached.delivered) return 'assigned';
  if (!reached.active) return 'delivered';
  return reached.pairings > 0 ? 'paired' : 'active';
}

/** In the order in which an iPhone meets them. */
function blockOf(
  device: DeviceDescription,
  compiled: readonly CompiledDeclaration[],
  anchors: readonly DescribedDeclaration[],
  configuration: DescribedDeclaration | undefined,
): WatchEnrollmentBlock | null {
  if (device.state === 'checked-out') return { reason: 'checked-out', detail: null };
  if (device.state !== 'enrolled') return { reason: 'not-enrolled', detail: null };
  if (device.supervised === false) return { reason: 'unsupervised', detail: null };
  const withheld = compiled.find((one) => one.withheld !== null)?.withheld;
  if (withheld?.rule === 'version') return { reason: 'os-too-old', detail: withheld.expected };
  if (withheld != null) return { reason: 'not-capable', detail: withheld.expected };
  const anchor = anchors.find((one) => one.status?.valid === 'invalid');
  if (anchor !== undefined) return { reason: 'invalid-anchor', detail: reported(anchor) };
  if (configuration?.status?.valid === 'invalid')
    return { reason: 'invalid-configuration', detail: reported(configuration) };
  return null;
}

/** The first reason in the device's own words. */
function reported({ status }: DescribedDeclaration): string | null {
  const [first] = status?.reasons ?? [];
  return first === undefined ? null : (first.description ?? first.code);
}
