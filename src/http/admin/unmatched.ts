/** What is left when no route took a request: 405 with `Allow` for a path that exists, else 404. */
import type { Handler } from 'hono';
import { baseRoutePath } from 'hono/route';
import type { AdminEnv } from './env.ts';
import { refused } from './refusals.ts';

interface Route {
  readonly method: string;
  readonly path: string;
}

export function unmatched(routes: readonly Route[]): Handler<AdminEnv> {
  const resources = new Map<string, { form: RegExp; allow: string[] }>();
  for (const { method, path } of routes) {
    if (method === 'ALL') continue;
    const resource = resources.get(path) ?? { form: formOf(path), allow: [] };
    resource.allow.push(...(method === 'GET' ? ['GET', 'HEAD'] : [method]));
    resources.set(path, resource);
  }
  return (c) => {
    const path = c.req.path.slice(baseRoutePath(c).replace(/\/$/, '').length);
    const resource = [...resources.values()].find(({ form }) => form.test(path));
    if (resource === undefined) return refused(c, { kind: 'no-such-resource' });
    return refused(c, { kind: 'method-not-allowed', allow: resource.allow });
  };
}

/** `/devices/:udid` as a pattern; our paths hold letters, hyphens and parameters only. */
function formOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/:[A-Za-z]+/g, '[^/]+')}$`);
}
