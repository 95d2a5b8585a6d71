/**
 * Watch enrollment assigned to iPhones, for themselves, by a group or to everyone: compiled, stored, and brought into
 * the phones' manifests. Also what pairing asks before a phone gets a token: whether it may host watches now.
 *
 * How far each iPhone got is told from its own object. A missing `com.apple.mdm.token` capability is no reason
 * that a phone can stop for: every profile that this server makes for a phone has it.
 */
import { encodeDeclaration } from '../../protocol/ddm/encode.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { Changed, UnknownGroup } from '../admin/declaration-services.ts';
import type {
  AssignRefusal,
  DeviceDirectory,
  MalformedCursor,
  Page,
  PageQuery,
  WatchEnrollmentService as WatchEnrollmentApi,
  WatchEnrollmentGroup,
  WatchEnrollmentStatus,
} from '../admin/services.ts';
import type { DeviceDescription, Devices } from '../enrollment/device.ts';
import type { Udid } from '../ids.ts';
import type { PhoneDirectory, PhoneStanding } from '../pairing/ports.ts';
import type { Change, DueManifests } from './due.ts';
import type { ManifestCompiler } from './manifest-compiler.ts';
import type {
  CompiledWatchEnrollment,
  DeclarationStore,
  RenderedDeclarations,
  Sha256Hex,
  WatchEnrollmentTarget,
} from './ports.ts';
import { compileWatchEnrollment } from './watch-enrollment.ts';
import { describeWatchEnrollment } from './watch-enrollment-status.ts';

/** Each has its object asked, its manifest compiled and its pairings counted. */
const LISTED_MAX = 50;

export interface WatchEnrollmentOptions {
  /** Origin without a trailing slash, as devices reach it. */
  readonly publicUrl: string;
  readonly devices: Devices;
  readonly directory: Pick<DeviceDirectory, 'list'>;
  readonly store: DeclarationStore;
  readonly rendered: RenderedDeclarations;
  readonly manifests: Pick<ManifestCompiler, 'compile'>;
  readonly due: DueManifests;
  readonly sha256Hex: Sha256Hex;
  readonly newUuid: () => string;
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
    await this.#assign({ kind: 'device', udid: phone }, anchors, nowMs);
    return this.status(phone);
  }

  async withdraw(phone: Udid, nowMs: EpochMs): Promise<Outcome<WatchEnrollmentStatus, AssignRefusal>> {
    const known = await this.#phone(phone);
    if (!known.ok) return known;
    await this.#withdraw({ kind: 'device', udid: phone }, nowMs);
    return this.status(phone);
  }

  async status(phone: Udid): Promise<Outcome<WatchEnrollmentStatus, AssignRefusal>> {
    const known = await this.#phone(phone);
    return known.ok ? ok(await this.#status(phone, known.value)) : known;
  }

  async list(page: PageQuery): Promise<Outcome<Page<WatchEnrollmentStatus>, MalformedCursor>> {
    const { directory, devices } = this.#options;
    const filter = { platform: 'iOS', state: null, serial: null } as const;
    const phones = await directory.list(filter, { ...page, limit: Math.min(page.limit, LISTED_MAX) });
    if (!phones.ok) return phones;
    const items = await Promise.all(
      phones.value.items.map(async ({ udid }) => {
        const device = await devices.of(udid).describe();
        return device === null ? [] : [await this.#status(udid, device)];
      }),
    );
    return ok({ items: items.flat(), cursor: phones.value.cursor });
  }

  async assignGroup(
    group: string,
    anchors: readonly Bytes[],
    nowMs: EpochMs,
  ): Promise<Outcome<Changed<WatchEnrollmentGroup>, UnknownGroup>> {
    const waiting = await this.#assign({ kind: 'group', name: group }, anchors, nowMs);
    const stored = await this.#options.store.ofGroup(group);
    if (waiting === null || stored === null) return refuse({ kind: 'unknown-group', name: group });
    return ok({ changed: { ...stored, group }, waiting });
  }

  async withdrawGroup(group: string, nowMs: EpochMs): Promise<{ waiting: number }> {
    return { waiting: await this.#withdraw({ kind: 'group', name: group }, nowMs) };
  }

  async groups(): Promise<readonly WatchEnrollmentGroup[]> {
    const assignments = await this.#options.store.groups();
    return assignments.map((one) => ({ ...one, group: one.group ?? '' }));
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

  /** How many devices are left to the background; null for an unknown group. */
  async #assign(
    target: WatchEnrollmentTarget,
    anchors: readonly Bytes[],
    nowMs: EpochMs,
  ): Promise<number | null> {
    const { publicUrl, store, rendered, due, sha256Hex } = this.#options;
    const compiled: CompiledWatchEnrollment = await compileWatchEnrollment(publicUrl, anchors, sha256Hex);
    const change = this.#change(nowMs);
    if (!(await store.assign(target, compiled, change))) return null;
    for (const declaration of compiled.declarations)
      await rendered.put(declaration, encodeDeclaration(declaration));
    return due.settle(change);
  }

  async #withdraw(target: WatchEnrollmentTarget, nowMs: EpochMs): Promise<number> {
    const change = this.#change(nowMs);
    await this.#options.store.withdraw(target, change);
    return this.#options.due.settle(change);
  }

  #change(atMs: EpochMs): Change {
    return { id: this.#options.newUuid(), atMs };
  }

  async #status(phone: Udid, device: DeviceDescription): Promise<WatchEnrollmentStatus> {
    const { store, manifests } = this.#options;
    const [assignment, compiled, pairings] = await Promise.all([
      store.assignment(phone),
      manifests.compile(phone, device),
      store.countPairings(phone),
    ]);
    return describeWatchEnrollment(phone, { device, assignment, compiled, pairings });
  }

  async #phone(udid: Udid): Promise<Outcome<DeviceDescription, AssignRefusal>> {
    const known = await this.#options.isKnown(udid);
    const device = known ? await this.#options.devices.of(udid).describe() : null;
    if (device === null) return refuse({ kind: 'unknown-device', udid });
    return device.platform === 'iOS' ? ok(device) : refuse({ kind: 'not-a-phone', udid });
  }
}
