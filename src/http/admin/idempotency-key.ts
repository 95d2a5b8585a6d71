/** `Idempotency-Key`: null when the request has none. */
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { AdminContext } from './env.ts';
import type { RequestRefusal } from './refusals.ts';
import { IDEMPOTENCY_KEY } from './schemas/command.ts';

export function idempotencyKey(c: AdminContext): Outcome<string | null, RequestRefusal> {
  const key = c.req.header('Idempotency-Key');
  if (key === undefined || IDEMPOTENCY_KEY.test(key)) return ok(key ?? null);
  const expected = '1 to 255 printable ASCII characters without spaces';
  return refuse({ kind: 'invalid', errors: [{ path: 'Idempotency-Key', expected }] });
}
