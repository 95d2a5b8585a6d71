/**
 * Bearer authentication (RFC 6750 §2.1) in front of every path of the admin API, known or not. The key goes to
 * the `Authenticator` and nowhere else: it is in no log, no problem document and no context variable.
 */
import type { MiddlewareHandler } from 'hono';
import type { Authenticator } from '../../domain/admin/services.ts';
import type { AdminEnv } from './env.ts';
import { refused } from './refusals.ts';

/** `token68` with at most 512 characters: a SHA-256 over it stays far below any other cost. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{1,512}={0,2}) *$/i;

export function authenticate(authenticator: Authenticator): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const header = c.req.header('Authorization');
    if (header === undefined) return refused(c, { kind: 'key-missing' });
    const token = BEARER.exec(header)?.[1];
    if (token === undefined) return refused(c, { kind: 'unknown-key' });
    const admin = await authenticator.authenticate(token, c.get('nowMs'));
    if (!admin.ok) return refused(c, admin.refusal);
    c.set('admin', admin.value);
    await next();
  };
}
