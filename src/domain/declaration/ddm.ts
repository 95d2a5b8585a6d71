/**
 * Declarative management as a device speaks it (handbook section 4.2). `tokens` and `declaration-items` come from
 * the device's own object and cost no query; a declaration comes from the edge's rendering or, missing there, from
 * the store, or is compiled anew for this device if it has one of its own. 404 makes a device drop a declaration, so it is said only of what the device is not to hold.
 */

import { loadCatalog } from '../../protocol/catalog/catalog.ts';
import { encodeDeclaration, encodeDeclarationItems, encodeTokens } from '../../protocol/ddm/encode.ts';
import { parseEndpoint } from '../../protocol/ddm/endpoint.ts';
import { isStatusItemName, splitStatusItems } from '../../protocol/ddm/status-items.ts';
import {
  type DeclarationsStatus,
  parseStatusReport,
  type StatusRefusal,
} from '../../protocol/ddm/status-report.ts';
import type { DeclarativeManagement } from '../../protocol/mdm/checkin.ts';
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse, Unavailable } from '../../std/outcome.ts';
import { type EpochMs, toTimestamp } from '../../std/time.ts';
import type { Devices, HeldManifest } from '../enrollment/device.ts';
import type { DeviceRefusal } from '../enrollment/state.ts';
import type { VerifiedDevice } from '../identity/verified-device.ts';
import type { Udid } from '../ids.ts';
import { fleetItemNames } from './fleet-status.ts';
import type { DeclarationKind, DeclarationStatus, ManifestEntry } from './manifest.ts';
import type { ManifestCompiler } from './manifest-compiler.ts';
import type { Declaration, DeclarationStore, RenderedDeclarations } from './ports.ts';
import { REPORT_KEPT_BYTES_MAX, statusChange } from './status.ts';
import type { StatusMergeRefusal } from './status-merge.ts';
import { maskReport } from './status-secrets.ts';

export type DdmRefusal =
  | { readonly kind: 'unknown-endpoint' }
  | { readonly kind: 'unknown-declaration' }
  | StatusMergeRefusal;

type Answer = Promise<
  Outcome<
    { readonly kind: 'accepted' } | { readonly kind: 'declarative'; readonly body: Bytes },
    DeviceRefusal | DdmRefusal
  >
>;

/** Of a device that was never given a declaration: SHA-256 of nothing, as of one from which all were taken. */
const NO_DECLARATIONS = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
/** Client capabilities of iOS 18 take 6 KiB; what is larger is not kept. */
const CAPABILITIES_CHARS_MAX = 64 * 1024;

export class DeclarativeManagementService {
  readonly #devices: Devices;
  readonly #store: DeclarationStore;
  readonly #rendered: RenderedDeclarations;
  readonly #manifests: Pick<ManifestCompiler, 'holdOne' | 'compile'>;

  constructor(options: {
    readonly devices: Devices;
    readonly store: DeclarationStore;
    readonly rendered: RenderedDeclarations;
    readonly manifests: Pick<ManifestCompiler, 'holdOne' | 'compile'>;
  }) {
    this.#devices = options.devices;
    this.#store = options.store;
    this.#rendered = options.rendered;
    this.#manifests = options.manifests;
  }

  async handle(device: VerifiedDevice, message: DeclarativeManagement, nowMs: EpochMs): Answer {
    const endpoint = parseEndpoint(message.endpoint);
    if (!endpoint.ok) return endpoint;
    switch (endpoint.value.kind) {
      case 'tokens':
        return this.#fromManifest(device, nowMs, tokens);
      case 'declaration-items':
        return this.#fromManifest(device, nowMs, items, true);
      case 'declaration':
        return this.#declaration(device, endpoint.value.declarationKind, endpoint.value.identifier, nowMs);
      case 'status':
        return this.#status(device, message.data ?? new Uint8Array(0), nowMs);
      default:
        return endpoint.value satisfies never;
    }
  }

  async #fromManifest(
    { udid, certificateDigest }: VerifiedDevice,
    nowMs: EpochMs,
    encode: (held: HeldManifest) => Bytes,
    asItems = false,
  ): Answer {
    const held = await this.#devices.of(udid).read(certificateDigest, nowMs, asItems);
    return held.ok ? ok({ kind: 'declarative', body: encode(held.value) }) : held;
  }

  async #declaration(
    device: VerifiedDevice,
    kind: DeclarationKind,
    identifier: string,
    nowMs: EpochMs,
  ): Answer {
    const object = this.#devices.of(device.udid);
    const entry = await object.fetchDeclaration(device.certificateDigest, kind, identifier, nowMs);
    if (!entry.ok) return entry;
    if (entry.value === null) return refuse({ kind: 'unknown-declaration' });
    const rendered = await this.#rendered.get(entry.value);
    if (rendered !== null) return ok({ kind: 'declarative', body: rendered });
    const declaration = await this.#find(device.udid, entry.value, nowMs);
    const body = encodeDeclaration(declaration);
    if (declaration.shared) await this.#rendered.put(entry.value, body);
    return ok({ kind: 'declarative', body });
  }

  /**
   * Never 404: the device is to hold it, and would drop it. If neither the store nor the compiler has it with this
   * token, it changed and the manifest is yet to follow: so it does now, and the device asks again after a 503.
   */
  async #find(udid: Udid, entry: ManifestEntry, nowMs: EpochMs): Promise<Declaration & { shared: boolean }> {
    const { identifier, serverToken } = entry;
    const stored = await this.#store.find(identifier);
    if (stored?.serverToken === serverToken) return { ...stored, shared: true };
    const device = await this.#devices.of(udid).describe();
    const compiled = device === null ? [] : await this.#manifests.compile(udid, device);
    const own = compiled.find((one) => one.identifier === identifier && one.serverToken === serverToken);
    if (own !== undefined && own.payload !== null) {
      const { kind, type, payload, origin } = own;
      return { kind, identifier, type, payload, serverToken, shared: origin.setting === 'subscriptions' };
    }
    await this.#manifests.holdOne(udid, nowMs);
    throw new Unavailable('declaration-changed', `${identifier} changed since the manifest was made`);
  }

  async #status(device: VerifiedDevice, data: Bytes, nowMs: EpochMs): Answer {
    const report = parseStatusReport(data);
    if (!report.ok) return malformed(report.refusal);
    const { declarations, clientCapabilities, statusItems, errors } = report.value;
    const values = splitStatusItems(statusItems, await loadCatalog('status'));
    if (!values.ok) return malformed(values.refusal);
    if (!errors.every(({ statusItem }) => isStatusItemName(statusItem))) {
      return refuse({ kind: 'status-malformed', reason: 'Errors.StatusItem' });
    }
    const text = clientCapabilities === null ? null : JSON.stringify(clientCapabilities);
    const taken = await this.#devices.of(device.udid).reportDeclarations(
      device.certificateDigest,
      {
        declarations:
          declarations === null ? null : { statuses: flatten(declarations), removed: declarations.removed },
        capabilities: text !== null && text.length <= CAPABILITIES_CHARS_MAX ? text : null,
        status: statusChange(report.value, values.value),
        fleetItems: await fleetItemNames(),
        raw: { bytes: data.length, kept: data.length <= REPORT_KEPT_BYTES_MAX ? maskReport(data) : null },
      },
      nowMs,
    );
    return taken.ok ? ok({ kind: 'accepted' }) : taken;
  }
}

function malformed(refusal: StatusRefusal) {
  const reason = 'field' in refusal ? refusal.field : refusal.reason;
  return refuse({ kind: 'status-malformed', reason } as const);
}

function tokens(held: HeldManifest): Bytes {
  return encodeTokens({
    declarationsToken: held.declarationsToken ?? NO_DECLARATIONS,
    timestamp: toTimestamp(held.changedAtMs),
  });
}

function items(held: HeldManifest): Bytes {
  const of = (kind: DeclarationKind) => held.entries.filter((entry) => entry.kind === kind);
  return encodeDeclarationItems({
    activations: of('activation'),
    assets: of('asset'),
    configurations: of('configuration'),
    management: of('management'),
    declarationsToken: held.declarationsToken ?? NO_DECLARATIONS,
  });
}

function flatten(declarations: DeclarationsStatus): DeclarationStatus[] {
  const { activations, assets, configurations, management } = declarations;
  return [...activations, ...assets, ...configurations, ...management].map((status) => ({
    identifier: status.identifier,
    serverToken: status.serverToken,
    active: status.active,
    valid: status.valid,
    reasons: status.reasons.map(({ code, description }) => ({ code, description })),
  }));
}
