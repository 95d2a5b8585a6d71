/** A device's status as the API shows it: values and reports are the device's own JSON, whatever it holds. */
import type { KeptReport } from '../../domain/declaration/status.ts';
import type { StatusItem } from '../../domain/declaration/status-merge.ts';
import type { JsonValue } from '../../protocol/plist/json.ts';
import { readUtf8 } from '../../std/bytes.ts';
import { timestamp } from './views.ts';

/** `value` is absent where only an error is known: `null` could be a value. */
export function statusItemView({ name, value, atMs, error }: StatusItem) {
  return {
    name,
    ...(value === null ? {} : { value: JSON.parse(value) as JsonValue }),
    at: atMs === null ? null : timestamp(atMs),
    error:
      error === null ? null : { at: timestamp(error.atMs), reasons: JSON.parse(error.reasons) as JsonValue },
  };
}

/** It was read as JSON before it was kept. */
export function statusReportView({ atMs, full, bytes, raw }: KeptReport) {
  const text = raw === null ? null : readUtf8(raw);
  return { at: timestamp(atMs), full, bytes, report: text === null ? null : (JSON.parse(text) as JsonValue) };
}
