/** One page of a listing: `{items, cursor}`, where `cursor` is `null` on the last page. */
import type { MalformedCursor, Page, PageQuery } from '../../domain/admin/services.ts';
import { type Outcome, ok } from '../../std/outcome.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';

/** `scope` is the listing's name with its filter: what a cursor belongs to. */
export async function listPage<T, V, R extends { readonly kind: string }>(
  scope: readonly (string | undefined)[],
  query: { readonly cursor?: string | undefined; readonly limit: number },
  list: (page: PageQuery) => Promise<Outcome<Page<T>, R | MalformedCursor>>,
  view: (item: T) => V,
): Promise<Outcome<{ items: V[]; cursor: string | null }, R | MalformedCursor>> {
  const name = scope.map((part) => part ?? '').join(' ');
  const cursor = decodeCursor(name, query.cursor);
  if (!cursor.ok) return cursor;
  const page = await list({ cursor: cursor.value, limit: query.limit });
  if (!page.ok) return page;
  return ok({ items: page.value.items.map(view), cursor: encodeCursor(name, page.value.cursor) });
}
