/**
 * `/apps/{token}/manifest.plist` and `/apps/{token}/package.ipa`, for the installer of a watch or an iPhone, which has
 * no identity to show: the token is the permission (docs/threat-model.md). One range is served (RFC 9110 §14.2), so
 * that a download which broke off goes on; of several the whole is sent, as §14.2 allows.
 */
import { type Context, Hono } from 'hono';
import type { StoredPackage } from '../../domain/app/app.ts';
import type { Packages } from '../../domain/app/packages.ts';
import type { ByteSpan } from '../../domain/app/ports.ts';
import type { AppEnv } from '../app-env.ts';

export interface PackageServices {
  readonly packages: Packages;
}

export function packagesApp({ packages }: PackageServices): Hono<AppEnv> {
  const app = new Hono<AppEnv>();

  app.get('/apps/:token/manifest.plist', async (c) => {
    const manifest = await packages.manifest(c.req.param('token'), c.get('nowMs'));
    if (manifest === null) return gone();
    return new Response(manifest, {
      headers: { 'Content-Type': 'application/xml', 'Content-Length': String(manifest.length) },
    });
  });

  app.get('/apps/:token/package.ipa', async (c) => {
    const found = await packages.find(c.req.param('token'), c.get('nowMs'));
    return found === null ? gone() : answer(c, found, packages);
  });

  for (const path of ['/apps/:token/manifest.plist', '/apps/:token/package.ipa'] as const)
    app.all(path, () => new Response(null, { status: 405, headers: { Allow: 'GET, HEAD' } }));
  return app;
}

async function answer(c: Context<AppEnv>, found: StoredPackage, packages: Packages): Promise<Response> {
  const { bytes, sha256 } = found;
  const etag = `"${sha256}"`;
  // Of a HEAD a range says nothing (RFC 9110 §14.2).
  const isHead = c.req.method === 'HEAD';
  const wanted = isHead ? null : rangeOf(c, etag, bytes);
  const headers = { 'Content-Type': 'application/octet-stream', 'Accept-Ranges': 'bytes', ETag: etag };
  if (wanted === 'unsatisfiable')
    return new Response(null, { status: 416, headers: { ...headers, 'Content-Range': `bytes */${bytes}` } });
  const status = wanted === null ? 200 : 206;
  const span = wanted === null ? {} : { 'Content-Range': `bytes ${wanted.first}-${wanted.last}/${bytes}` };
  const length = wanted === null ? bytes : wanted.last - wanted.first + 1;
  const all = { ...headers, ...span, 'Content-Length': String(length) };
  if (isHead) return new Response(null, { status, headers: all });
  const content = await packages.read(found, wanted);
  return content === null ? gone() : new Response(content, { status, headers: all });
}

/** Null: all of it. A range of another version (If-Range, §13.1.5) is none. */
function rangeOf(c: Context<AppEnv>, etag: string, bytes: number): ByteSpan | 'unsatisfiable' | null {
  const only = c.req.header('If-Range');
  if (only !== undefined && only.trim() !== etag) return null;
  return parseRange(c.req.header('Range'), bytes);
}

/** One range of octets; null for none, for several, and for what is no range, which is ignored. */
export function parseRange(header: string | undefined, bytes: number): ByteSpan | 'unsatisfiable' | null {
  const match = /^bytes= *(\d{0,15})-(\d{0,15}) *$/i.exec(header ?? '');
  const [from = '', to = ''] = match?.slice(1) ?? [];
  if (match === null || (from === '' && to === '')) return null;
  if (from === '') {
    const length = Math.min(Number(to), bytes);
    return length === 0 ? 'unsatisfiable' : { first: bytes - length, last: bytes - 1 };
  }
  const first = Number(from);
  if (to !== '' && Number(to) < first) return null;
  if (first >= bytes) return 'unsatisfiable';
  return { first, last: Math.min(to === '' ? bytes - 1 : Number(to), bytes - 1) };
}

/** Whether it never was, or is over, is nobody's business who has no better URL. */
function gone(): Response {
  return new Response('not found\n', { status: 404 });
}
