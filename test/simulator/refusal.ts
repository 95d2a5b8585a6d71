/**
 * The documents with which a server says no: an MDM error document, or a problem document (facts 2).
 */
import type { Json } from './declarations.ts';
import { type Plist, readDict } from './plist.ts';
import type { Reply } from './world.ts';

/** A document that refuses: `{code, description, message, details}` as JSON or as a plist (facts 2). */
export interface RefusalDocument {
  readonly code?: string;
  readonly description?: string;
  readonly message?: string;
  readonly details?: { readonly [key: string]: Json | Plist };
}

export function readRefusal(reply: Reply): RefusalDocument | null {
  const type = reply.contentType.split(';')[0];
  try {
    if (type === 'application/json' || type === 'application/problem+json') {
      return JSON.parse(reply.body.toString()) as RefusalDocument;
    }
    return type === 'application/xml' ? (readDict(reply.body) as RefusalDocument) : null;
  } catch {
    // A document that cannot be read is no document; the status still says no.
    return null;
  }
}
