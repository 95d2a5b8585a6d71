/**
 * Watch enrollment assigned to iPhones: compiled, stored, and brought into the phone's manifest, which makes the
 * phone's object tell it. Also what pairing asks before a phone gets a token: whether it may host watches now.
 */
import { encodeDeclaration } from '../../protocol/ddm/encode.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  AssignRefusal,
  WatchEnrollmentService as WatchEnrollmentApi,
  WatchEnrollmentBlock,
  WatchEnrollmentStatus,
} from '../admin/services.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { PhoneDirectory, PhoneStanding } from '../pairing/ports.ts';
import type { ManifestCompiler } from './manifest-compiler.ts';
import type {
  DeclarationStore,
  RenderedDeclarations,
  Sha256Hex,
  WatchEnrollmentAssignment,
} from './ports.ts';
import { compileWatchEnrollment, isWatchEnrollment } from './watch-enrollment.ts';

export interface WatchEnrollmentOptions {
  /** Origin without a trailing slash, as devices reach it. */
  readonly publicUrl: string;
  readonly devices: Devices;
  readonly store: DeclarationStore;
  readonly rendered: RenderedDeclarations;
  readonly manifests: Pick<ManifestCompiler, 'hold'>;
  readonly sha256Hex: Sha256Hex;
  /** Whether a certificate was ever issued for a UDID: no object is made for a guess. */
  readonly isKnown: (udid: Udid) => Promise<boolean>;
}

export class WatchEnrollments implements WatchEnrollmentApi, PhoneDirectory {
  readonly #options: WatchEnrollmentOptions;

  constructor(options: WatchEnrollmentOptions) {
    this.#options = options;
  }

  async assign(
    phone: Udid,
    anchors: readonly Bytes[],
    nowMs: EpochMs,
  ): Promise<Outcome<WatchEnrollmentStatus, AssignRefusal>> {
    const known = await this.#phone(phone);
    if (!known.ok) return known;
    const { publicUrl, store, rendered, sha256Hex } = this.#options;
    const compiled = await compileWatchEnrollment(publicUrl, anchors, sha256Hex);
    const { declarations, assets } = compiled;
    await store.assign(phone, { assignedAtMs: nowMs, anchors: compiled.anchors }, declarations, assets);
    for (const declaration of declarations) await rendered.put(declaration, encodeDeclaration(declaration));
    await this.#options.manifests.hold([phone], nowMs);
    return this.status(phone);
  }

  async withdraw(phone: Udid, nowMs: EpochMs): Promise<Outcome<WatchEnrollmentStatus, AssignRefusal>> {
    const known = await this.#phone(phone);
    if (!known.ok) return known;
    await this.#options.store.withdraw(phone);
    await this.#options.manifests.hold([phone], nowMs);
    return this.status(phone);
  }

  async status(phone: Udid): Promise<Outcome<WatchEnrollmentStatus, AssignRefusal>> {
    const known = await this.#phone(phone);
    if (!known.ok) return known;
    const { store } = this.#options;
    const [assignment, pairings] = await Promise.all([store.assignment(phone), store.countPairings(phone)]);
    return ok(describe(phone, known.value, assignment, pairings));
  }

  /**
   * Asked at every GetToken and at every redemption; the phone's object and the assignment itself answer. The UDID
   * is one that a certificate or a token of ours vouches for, so no object is made for a guess here either.
   */
  async hosting(phone: Udid): Promise<{ readonly kind: PhoneStanding }> {
    const { store, devices } = this.#options;
    const [assignment, device] = await Promise.all([store.assignment(phone), devices.of(phone).describe()]);
    if (device?.platform !== 'iOS' || device.state !== 'enrolled') return { kind: 'not-enrolled' };
    if (assignment === null) return { kind: 'not-assigned' };
    return { kind: device.supervised === false ? 'unsupervised' : 'hosting' };
  }

  async #phone(udid: Udid): Promise<Outcome<DeviceDescription, AssignRefusal>> {
    const known = await this.#options.isKnown(udid);
    const device = known ? await this.#options.devices.of(udid).describe() : null;
    if (device === null) return refuse({ kind: 'unknown-device', udid });
    return device.platform === 'iOS' ? ok(device) : refuse({ kind: 'not-a-phone', udid });
  }
}

function describe(
  phone: Udid,
  device: DeviceDescription,
  assignment: WatchEnrollmentAssignment | null,
  pairings: number,
): WatchEnrollmentStatus {
  const configuration = device.declarations.find((held) => isWatchEnrollment(held.identifier, held.kind));
  return {
    phone,
    assigned: assignment !== null,
    assignedAtMs: assignment?.assignedAtMs ?? null,
    anchors: assignment?.anchors ?? [],
    delivered: configuration?.fetched ?? false,
    active: configuration?.status?.active ?? null,
    valid: configuration?.status?.valid ?? null,
    reasons: configuration?.status?.reasons ?? [],
    blockedBy: assignment === null ? null : blockOf(device),
    pairings,
  };
}

function blockOf(device: DeviceDescription): WatchEnrollmentBlock | null {
  if (device.state === 'checked-out') return 'checked-out';
  if (device.state !== 'enrolled') return 'not-enrolled';
  return device.supervised === false ? 'unsupervised' : null;
}
