/** Values that several resources share. Every message says what is expected. */
import * as v from 'valibot';
import {
  type MalformedIdentifier,
  parseCommandUuid,
  parseSerialNumber,
  parseUdid,
} from '../../../domain/ids.ts';
import type { Outcome } from '../../../std/outcome.ts';
import { epochMs } from '../../../std/time.ts';

export const udid = identifier(parseUdid, 'a UDID: 8 to 64 letters, digits and hyphens');
export const serialNumber = identifier(
  parseSerialNumber,
  'a serial number: 4 to 32 letters, digits and hyphens',
);
export const commandUuid = identifier(parseCommandUuid, 'a CommandUUID: 1 to 128 printable ASCII characters');

export const platform = v.picklist(['iOS', 'watchOS']);

/** The most that one answer lists. */
export const PAGE_LIMIT_MAX = 500;
export const PAGE_LIMIT = 100;

/** What every listing's query takes. */
export const page = {
  cursor: v.optional(v.string()),
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[1-9][0-9]{0,2}$/, `an integer from 1 to ${PAGE_LIMIT_MAX}`),
      v.transform(Number),
      v.maxValue(PAGE_LIMIT_MAX, `an integer from 1 to ${PAGE_LIMIT_MAX}`),
    ),
    String(PAGE_LIMIT),
  ),
};

export const onlyPage = v.strictObject(page);

/** RFC 3339 §5.6 with a time zone, to the millisecond. */
const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;
const dateTimeExpected = 'an RFC 3339 date and time with a time zone';

export const dateTime = v.pipe(
  v.string(),
  v.regex(DATE_TIME, dateTimeExpected),
  v.transform((text) => Date.parse(text.toUpperCase())),
  v.number(dateTimeExpected),
  v.finite(dateTimeExpected),
  v.transform(epochMs),
);

function identifier<T extends string>(
  parse: (value: unknown) => Outcome<T, MalformedIdentifier>,
  expected: string,
) {
  return v.pipe(
    v.string(),
    v.check((value) => parse(value).ok, expected),
    v.transform((value) => value as T),
  );
}
