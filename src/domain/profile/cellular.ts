/**
 * Rules of `com.apple.cellular` (facts 12, 15): something must be set, a user goes with a password and a proxy with
 * its port. A device has one payload of the type; a second in a profile is refused where all types are.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { PlacedFindings } from './findings.ts';
import { dictOf, listOf, numberOf, textOf } from './keys.ts';

/** 3GPP TS 23.003 §9.1: an APN has at most 100 octets. */
const APN_CHARS_MAX = 100;
const PORT_MAX = 65_535;

export function judgeCellular(keys: JsonObject, found: PlacedFindings): void {
  const attach = dictOf(keys, 'AttachAPN');
  const points = listOf(keys, 'APNs') ?? [];
  if (attach === undefined && points.length === 0) found.problem('APNs', 'needed', 'APNs or AttachAPN');
  if (attach !== undefined) judgePoint(attach, 'AttachAPN', found);
  for (const [index, point] of points.entries()) judgePoint(point as JsonObject, `APNs[${index}]`, found);
}

function judgePoint(point: JsonObject, path: string, found: PlacedFindings): void {
  const name = textOf(point, 'Name') ?? '';
  if (name === '' || name.length > APN_CHARS_MAX)
    found.problem(`${path}.Name`, 'value', `1 to ${APN_CHARS_MAX} characters`);
  if (point['Password'] !== undefined && point['Username'] === undefined)
    found.problem(`${path}.Username`, 'needed', 'the user whose password this is');
  const [server, port] = [textOf(point, 'ProxyServer'), numberOf(point, 'ProxyPort')];
  if (port !== undefined && server === undefined)
    found.problem(`${path}.ProxyServer`, 'needed', 'the proxy whose port this is');
  if (server !== undefined && (port === undefined || port < 1 || port > PORT_MAX))
    found.problem(`${path}.ProxyPort`, 'range', `1 to ${PORT_MAX}`);
}
