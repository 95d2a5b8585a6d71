/** In-memory services behind the admin API, and a caller that speaks to it as an administrator would. */
import { Hono } from 'hono';
import { BootstrapKey } from '../../../src/domain/admin/bootstrap-key.ts';
import type { CommandRecord, NewCommand } from '../../../src/domain/admin/command-services.ts';
import type { EnrollmentRecord } from '../../../src/domain/admin/pair-services.ts';
import type { EffectivePolicy } from '../../../src/domain/admin/policy-services.ts';
import type {
  AdminServices,
  DeviceRecord,
  ExpectedDevice,
  Page,
  PageQuery,
  PairingRecord,
  WatchEnrollmentStatus,
} from '../../../src/domain/admin/services.ts';
import type { KeptReport } from '../../../src/domain/declaration/status.ts';
import type { StatusItem } from '../../../src/domain/declaration/status-merge.ts';
import type { FeedEvent } from '../../../src/domain/event/feed.ts';
import type { LinkGrant } from '../../../src/domain/identity/one-time-link.ts';
import type { CommandUuid, SerialNumber, Udid } from '../../../src/domain/ids.ts';
import type { InventoryRecord } from '../../../src/domain/inventory/ports.ts';
import { adminApp } from '../../../src/http/admin/routes.ts';
import type { AppEnv } from '../../../src/http/app-env.ts';
import type { LogEvent, LogFields } from '../../../src/log.ts';
import { plistToJson } from '../../../src/protocol/plist/json.ts';
import type { Bytes } from '../../../src/std/bytes.ts';
import { ok, refuse } from '../../../src/std/outcome.ts';
import { Secret } from '../../../src/std/secret.ts';
import { addMs, type EpochMs, epochMs } from '../../../src/std/time.ts';

export const KEY = 'key-of-the-tests-0123456789';
export const NOW = epochMs(Date.UTC(2026, 10, 20, 12));
export const PHONE = 'PHONE-0000000001' as Udid;
export const WATCH = 'WATCH-0000000001' as Udid;
export const STRANGER = 'NOBODY-000000001';

const serial = (text: string) => text as SerialNumber;

export function device(over: Partial<DeviceRecord> = {}): DeviceRecord {
  return {
    udid: PHONE,
    serial: serial('PHONESERIAL1'),
    platform: 'iOS',
    state: 'enrolled',
    productName: 'iPhone17,1',
    osVersion: '27.0',
    buildVersion: '24A1',
    enrolledAtMs: NOW,
    lastSeenAtMs: NOW,
    phone: null,
    watches: [WATCH],
    pairingId: null,
    name: null,
    model: null,
    otherUdids: [],
    phoneState: null,
    presumedGone: null,
    ...over,
  };
}

export function watch(over: Partial<DeviceRecord> = {}): DeviceRecord {
  return device({
    udid: WATCH,
    serial: serial('WATCHSERIAL1'),
    platform: 'watchOS',
    productName: 'Watch7,5',
    phone: PHONE,
    watches: [],
    pairingId: 'pairing-1',
    ...over,
  });
}

/** Pages over a list by index; refuses a cursor that it did not make. */
function slice<T>(items: readonly T[], page: PageQuery) {
  const from = page.cursor === null ? 0 : /^#\d+$/.test(page.cursor) ? Number(page.cursor.slice(1)) : -1;
  if (from < 0) return refuse({ kind: 'malformed-cursor' } as const);
  const end = from + page.limit;
  const found: Page<T> = { items: items.slice(from, end), cursor: end < items.length ? `#${end}` : null };
  return ok(found);
}

export class FakeServices {
  devices: DeviceRecord[] = [device(), watch()];
  statusItems: StatusItem[] = [];
  policy: EffectivePolicy | null = null;
  statusReports: KeptReport[] = [];
  inventory: InventoryRecord[] = [];
  refreshed: (readonly string[])[] = [];
  enrollments: EnrollmentRecord[] = [];
  events: FeedEvent[] = [];
  /** Called whenever a stream waits. */
  paused: () => void = () => undefined;
  pairings: PairingRecord[] = [];
  expected: ExpectedDevice[] = [];
  commands = new Map<string, CommandRecord>();
  enqueued: NewCommand[] = [];
  contents = new Map<string, string>();
  links: { grant: LinkGrant; ttlSeconds: number }[] = [];
  assigned = new Map<string, readonly Bytes[]>();
  queueMax = 100;
  failure: Error | null = null;
  logged: { name: LogEvent; fields: LogFields }[] = [];

  readonly #find = (udid: string) => this.devices.find((known) => known.udid === udid) ?? null;

  all(): AdminServices {
    let uuids = 0;
    return {
      authenticator: new BootstrapKey(new Secret(KEY)),
      publicUrl: 'https://mdm.example.com',
      isEnrollmentProfile: (identifier) => identifier === 'com.example.enrollment',
      newUuid: () => `00000000-0000-4000-8000-${String(++uuids).padStart(12, '0')}`,
      devices: {
        find: async (udid) => {
          if (this.failure !== null) throw this.failure;
          return this.#find(udid);
        },
        list: async (filter, page) =>
          slice(
            this.devices.filter(
              (known) =>
                (filter.platform ?? known.platform) === known.platform &&
                (filter.state ?? known.state) === known.state &&
                (filter.serial ?? known.serial) === known.serial,
            ),
            page,
          ),
      },
      inventory: {
        sections: async (udid) =>
          this.#find(udid) === null ? refuse({ kind: 'unknown-device', udid }) : ok(this.inventory),
        section: async (udid, section) =>
          this.#find(udid) === null
            ? refuse({ kind: 'unknown-device', udid })
            : ok(this.inventory.find((one) => one.section === section) ?? null),
        refresh: async (udid, sections) => {
          if (this.#find(udid) === null) return refuse({ kind: 'unknown-device', udid });
          this.refreshed.push(sections);
          return ok({ queued: [], pending: [], recent: [], refused: [] });
        },
      },
      enrollments: { list: async (_udid, page) => slice(this.enrollments, page) },
      status: {
        items: async (udid) =>
          this.#find(udid) === null ? refuse({ kind: 'unknown-device', udid }) : ok(this.statusItems),
        reports: async (udid) =>
          this.#find(udid) === null ? refuse({ kind: 'unknown-device', udid }) : ok(this.statusReports),
      },
      events: {
        read: async ({ udid, kind }, { cursor, limit }) => {
          if (this.failure !== null) throw this.failure;
          if (!/^\d+$/.test(cursor ?? '0')) return refuse({ kind: 'malformed-cursor' });
          const items = this.events
            .filter((event) => Number(event.position) > Number(cursor ?? '0'))
            .filter((event) => (udid ?? event.udid) === event.udid && (kind ?? event.kind) === event.kind)
            .slice(0, limit);
          return ok({ items, cursor: items.at(-1)?.position ?? cursor ?? '0' });
        },
        latest: async () => this.events.at(-1)?.position ?? '0',
      },
      pause: async () => this.paused(),
      commands: {
        enqueue: async (command, nowMs) => this.#enqueue(command, nowMs),
        list: async (udid, filter, page) => {
          if (this.#find(udid) === null) return refuse({ kind: 'unknown-device', udid });
          const own = [...this.commands.values()].filter((command) => command.udid === udid);
          const wanted = own.filter(
            ({ state, requestType }) =>
              (filter.state ?? state) === state && (filter.requestType ?? requestType) === requestType,
          );
          const listed = slice(wanted, page);
          const pending = own.filter(({ state }) => state === 'pending').length;
          return listed.ok ? ok({ ...listed.value, pending }) : listed;
        },
        find: async (udid, uuid) => this.#command(udid, uuid),
        cancel: async (udid, commandUuid, nowMs) => {
          const command = this.#command(udid, commandUuid);
          if (command === null) return refuse({ kind: 'unknown-command', commandUuid });
          if (command.state !== 'pending')
            return refuse({ kind: 'command-not-pending', state: command.state });
          const canceled: CommandRecord = { ...command, state: 'canceled', answeredAtMs: nowMs };
          this.commands.set(commandUuid, canceled);
          return ok(canceled);
        },
        // Over D1 in sealed-commands.test.ts.
        repeatable: async (_udid, commandUuid) => refuse({ kind: 'unknown-command', commandUuid }),
      },
      // Over D1 and objects in test/scenarios.
      commandAdvisor: {} as AdminServices['commandAdvisor'],
      gathered: () => ({}) as ReturnType<AdminServices['gathered']>,
      deviceProfiles: {} as AdminServices['deviceProfiles'],
      gatheredProfiles: () => ({}) as ReturnType<AdminServices['gatheredProfiles']>,
      profileOverviews: {} as AdminServices['profileOverviews'],
      watchEnrollment: {
        assign: async (phone, anchors) => this.#judge(phone, () => this.assigned.set(phone, anchors)),
        withdraw: async (phone) => this.#judge(phone, () => this.assigned.delete(phone)),
        status: async (phone) => this.#judge(phone, () => undefined),
        list: async () => ok({ items: [], cursor: null }),
        // Over D1 in test/scenarios.
        assignGroup: async (name) => refuse({ kind: 'unknown-group', name }),
        withdrawGroup: async () => ({ waiting: 0 }),
        groups: async () => [],
      },
      pairings: {
        list: async ({ watch: of, ...page }) =>
          slice(
            this.pairings.filter((pairing) => of === null || pairing.watch === of),
            page,
          ),
        get: async (pairingId) => this.pairings.find((pairing) => pairing.pairingId === pairingId) ?? null,
      },
      expectedDevices: {
        add: async (serials, addedAtMs) => {
          const before = this.expected.filter((known) => !serials.includes(known.serial));
          const unique = [...new Set(serials)];
          const added = unique.filter((one) => !this.expected.some((known) => known.serial === one)).length;
          const listed = unique.map((one) => ({
            ...{ serial: one, platform: 'iOS' as const },
            ...{ addedAtMs, udid: null },
          }));
          this.expected = [...before, ...listed].sort((a, b) => (a.serial < b.serial ? -1 : 1));
          return { added, renewed: unique.length - added };
        },
        list: async (page) => slice(this.expected, page),
        remove: async (removed) => {
          const before = this.expected.length;
          this.expected = this.expected.filter((known) => known.serial !== removed);
          return this.expected.length < before;
        },
      },
      // Over D1 in declarations.test.ts and uploads.test.ts.
      declarations: {} as AdminServices['declarations'],
      assets: {} as AdminServices['assets'],
      profiles: {} as AdminServices['profiles'],
      profileBuilder: {} as AdminServices['profileBuilder'],
      sets: {} as AdminServices['sets'],
      groups: {} as AdminServices['groups'],
      settings: {} as AdminServices['settings'],
      dryRuns: {} as AdminServices['dryRuns'],
      apps: {} as AdminServices['apps'],
      appPackages: {} as AdminServices['appPackages'],
      deployments: {} as AdminServices['deployments'],
      policies: {
        ofDevice: async (udid) => {
          if (this.failure !== null) throw this.failure;
          return this.policy === null ? refuse({ kind: 'unknown-device', udid }) : ok(this.policy);
        },
      },
      enrollmentLinks: {
        create: async (grant, ttlSeconds, nowMs) => {
          this.links.push({ grant, ttlSeconds });
          return { code: `code${this.links.length}`, expiresAtMs: addMs(nowMs, ttlSeconds * 1000) };
        },
      },
    };
  }

  #command(udid: string, uuid: string): CommandRecord | null {
    const command = this.commands.get(uuid);
    return command?.udid === udid ? command : null;
  }

  #enqueue(command: NewCommand, nowMs: EpochMs) {
    const { udid, commandUuid, requestType, expiresAtMs } = command;
    const known = this.#find(udid);
    if (known === null) return refuse({ kind: 'unknown-device', udid } as const);
    if (known.state !== 'enrolled')
      return refuse({ kind: 'device-not-enrolled', state: known.state } as const);
    const content = JSON.stringify([udid, plistToJson(command.command)]);
    const present = this.commands.get(commandUuid);
    if (present !== undefined) {
      if (this.contents.get(commandUuid) === content) return ok({ command: present, created: false });
      const of = present.udid === udid ? 'other-content' : 'another-device';
      return refuse({ kind: 'command-conflict', commandUuid, of } as const);
    }
    if (this.commands.size >= this.queueMax) {
      return refuse({ kind: 'queue-full', pendingMax: this.queueMax } as const);
    }
    const record: CommandRecord = {
      ...{ commandUuid, udid, requestType, expiresAtMs, state: 'pending', status: null, result: null },
      createdAtMs: nowMs,
      answeredAtMs: null,
      ...NOT_SENT,
    };
    this.enqueued.push(command);
    this.contents.set(commandUuid, content);
    this.commands.set(commandUuid, record);
    return ok({ command: record, created: true });
  }

  #judge(phone: Udid, change: () => void) {
    const known = this.#find(phone);
    if (known === null) return refuse({ kind: 'unknown-device', udid: phone } as const);
    if (known.platform !== 'iOS') return refuse({ kind: 'not-a-phone', udid: phone } as const);
    change();
    const assigned = this.assigned.has(phone);
    const status: WatchEnrollmentStatus = {
      phone,
      assigned,
      group: null,
      stage: assigned ? 'assigned' : 'unassigned',
      assignedAtMs: assigned ? NOW : null,
      anchors: (this.assigned.get(phone) ?? []).map((der) => `digest-of-${der.length}-bytes`),
      delivered: false,
      active: null,
      valid: null,
      reasons: [],
      blockedBy: known.state === 'enrolled' ? null : { reason: 'not-enrolled', detail: null },
      pairings: 0,
    };
    return ok(status);
  }
}

const NOT_SENT = {
  command: null,
  priority: 'normal',
  deliveredAtMs: null,
  deliveries: 0,
  notNows: 0,
  requeuedFrom: null,
  requeuedAs: [],
  profile: null,
} as const;

export function putCommand(fakes: FakeServices, over: Partial<CommandRecord>): CommandRecord {
  const record: CommandRecord = {
    commandUuid: 'C-1' as CommandUuid,
    udid: WATCH,
    requestType: 'DeviceInformation',
    state: 'pending',
    status: null,
    createdAtMs: NOW,
    expiresAtMs: null,
    answeredAtMs: null,
    result: null,
    ...NOT_SENT,
    ...over,
  };
  fakes.commands.set(record.commandUuid, record);
  return record;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever document came
  readonly body: any;
  readonly text: string;
}

type Send = (method: string, path: string, json?: unknown, headers?: HeadersInit) => Promise<Answer>;

/** The API below `/api/v1`, as the root application joins it. Text and bytes are sent as they are. */
export function caller(fakes: FakeServices): Send {
  const root = new Hono<AppEnv>();
  root.use(async (c, next) => {
    c.set('nowMs', NOW);
    c.set('requestId', 'request-1');
    c.set('log', { event: (name, fields) => fakes.logged.push({ name, fields }) });
    await next();
  });
  root.route('/api/v1', adminApp(fakes.all()));
  return async (method, path, json, given) => {
    const headers = new Headers({ Authorization: `Bearer ${KEY}` });
    if (json !== undefined) headers.set('Content-Type', 'application/json');
    for (const [name, value] of new Headers(given)) headers.set(name, value);
    if (headers.get('Authorization') === '') headers.delete('Authorization');
    const body = json === undefined ? null : asItIs(json) ? json : JSON.stringify(json);
    const response = await root.request(`/api/v1${path}`, { method, headers, body });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('Content-Type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && text !== '' ? JSON.parse(text) : null,
      text,
    };
  };
}

function asItIs(body: unknown): body is string | Bytes {
  return typeof body === 'string' || body instanceof Uint8Array;
}

/** The refusal's kind, from a problem document that has everything RFC 9457 asks for. */
export function kindOf(answer: Answer): string {
  const { type, title, status } = answer.body ?? {};
  const wellFormed =
    answer.headers.get('Content-Type') === 'application/problem+json' &&
    typeof title === 'string' &&
    status === answer.status;
  return wellFormed ? String(type).replace('urn:escapement:problem:', '') : `no problem: ${answer.text}`;
}
