/** Inventories, pairs and enrollments as the API shows them. */
import type { Pair, PairSide } from '../../domain/admin/pair.ts';
import type { EnrollmentRecord } from '../../domain/admin/pair-services.ts';
import type { InventoryRecord } from '../../domain/inventory/ports.ts';
import type { InventorySection } from '../../domain/inventory/section.ts';
import { deviceView, pairingView, timestamp, timestampOrNull } from './views.ts';

export function inventoryView(records: readonly InventoryRecord[]) {
  return {
    sections: Object.fromEntries(records.map((record) => [record.section, inventorySectionView(record)])),
  };
}

/** `asOf` is the last answer's time, `completeAsOf` that of the last one that had all of it. */
export function inventorySectionView(record: InventoryRecord) {
  const { section, commandUuid, answeredAtMs, completeAtMs, items, tooLarge } = record;
  const answered = tooLarge === null || tooLarge.commandUuid !== commandUuid;
  return {
    section,
    asOf: answered ? timestamp(answeredAtMs) : null,
    completeAsOf: timestampOrNull(completeAtMs),
    commandUuid: answered ? commandUuid : null,
    items: Object.fromEntries(items.map(({ key, value, atMs }) => [key, { value, asOf: timestamp(atMs) }])),
    tooLarge: tooLarge && { commandUuid: tooLarge.commandUuid, at: timestamp(tooLarge.atMs) },
  };
}

export function unansweredView(section: InventorySection) {
  return { section, asOf: null, completeAsOf: null, commandUuid: null, items: {}, tooLarge: null };
}

export function enrollmentView(record: EnrollmentRecord) {
  const { enrollmentId, serial, platform, phone, pairingId, presumedEnd } = record;
  return {
    enrollmentId,
    serial,
    ...(platform === 'watchOS' ? { phone, pairingId } : {}),
    startedAt: timestamp(record.startedAtMs),
    enrolledAt: timestampOrNull(record.enrolledAtMs),
    endedAt: timestampOrNull(record.endedAtMs),
    ended: record.ended,
    presumedEnd: presumedEnd && {
      at: timestamp(presumedEnd.atMs),
      why: presumedEnd.why,
      commandUuid: presumedEnd.commandUuid,
    },
  };
}

export function pairView({ phone, watches }: Pair) {
  return {
    phone: phone && sideView(phone),
    watches: watches.map(({ pairing, ...side }) => ({
      ...sideView(side),
      lastPairing: pairing && pairingView(pairing),
    })),
  };
}

function sideView({ device, ifUnenrolled, ifErased }: PairSide) {
  return { ...deviceView(device), ifUnenrolled, ifErased };
}
