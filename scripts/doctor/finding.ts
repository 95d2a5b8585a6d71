/** What the doctor found, each with what to do about it. */

export type Area =
  | 'reachability'
  | 'clock'
  | 'configuration'
  | 'certificates'
  | 'administration'
  | 'push path';

export interface Finding {
  readonly area: Area;
  readonly level: 'ok' | 'warning' | 'bad' | 'skipped';
  readonly says: string;
  readonly fix?: string;
}

export const fine = (area: Area, says: string): Finding => ({ area, level: 'ok', says });
export const warning = (area: Area, says: string, fix: string): Finding => ({
  ...{ area, says, fix },
  level: 'warning',
});
export const bad = (area: Area, says: string, fix: string): Finding => ({ area, level: 'bad', says, fix });
export const skipped = (area: Area, says: string, fix: string): Finding => ({
  ...{ area, says, fix },
  level: 'skipped',
});

export const DAY_MS = 24 * 3600 * 1000;

/** What a date that is coming means: `warnDays` before it a warning, after it something bad. */
export function expiry(
  what: string,
  notAfterMs: number,
  nowMs: number,
  warnDays: number,
  fix: string,
): Finding {
  const days = Math.floor((notAfterMs - nowMs) / DAY_MS);
  const until = new Date(notAfterMs).toISOString().slice(0, 10);
  if (notAfterMs <= nowMs) return bad('certificates', `${what} expired ${until}`, fix);
  if (days < warnDays) return warning('certificates', `${what} ends ${until}, in ${days} days`, fix);
  return fine('certificates', `${what} is valid until ${until}`);
}
