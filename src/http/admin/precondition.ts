/**
 * `If-Match` and `If-None-Match` (RFC 9110 §13.1.1, §13.1.2) over entity tags. If-Match compares strongly, so a weak
 * tag matches nothing. A write takes If-None-Match only as `*`: it has no use for tags. A read compares them weakly.
 */
import type { Context } from 'hono';
import type { Precondition } from '../../domain/admin/precondition.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { AdminContext } from './env.ts';
import type { RequestRefusal } from './refusals.ts';

export function entityTag(serverToken: string): string {
  return `"${serverToken}"`;
}

/** Whether the asker of a read has what this tag names. */
export function isHeld(c: Context, tag: string): boolean {
  const asked = (c.req.header('If-None-Match') ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''));
  return asked.includes(tag) || asked.includes('*');
}

/** Null when the request has neither header. */
export function readPrecondition(c: AdminContext): Outcome<Precondition | null, RequestRefusal> {
  const match = c.req.header('If-Match')?.trim();
  const noneMatch = c.req.header('If-None-Match')?.trim();
  if (match !== undefined && noneMatch !== undefined)
    return invalid('If-None-Match', 'If-Match or If-None-Match, not both');
  if (noneMatch !== undefined)
    return noneMatch === '*' ? ok({ kind: 'absent' }) : invalid('If-None-Match', '*');
  if (match === undefined) return ok(null);
  if (match === '*') return ok({ kind: 'present' });
  const tags = match.split(',').map((tag) => tag.trim());
  const tokens = tags.flatMap((tag) => /^"([^"]*)"$/.exec(tag)?.[1] ?? []);
  return ok({ kind: 'tokens', tokens });
}

function invalid(path: string, expected: string) {
  return refuse<RequestRefusal>({ kind: 'invalid', errors: [{ path, expected }] });
}
