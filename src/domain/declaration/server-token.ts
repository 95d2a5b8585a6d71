/**
 * A declaration's ServerToken: 64 hex digits over its whole content, which is also Apple's limit in octets. Same
 * content, same token, whoever stores it and when; a salt, which `touch` sets, makes another of the same content.
 */
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import { utf8 } from '../../std/bytes.ts';
import type { Sha256Hex } from './ports.ts';

export interface DeclarationContent {
  readonly type: string;
  readonly identifier: string;
  readonly payload: JsonObject;
}

export function serverTokenOf(
  { type, identifier, payload }: DeclarationContent,
  salt: string | null,
  sha256Hex: Sha256Hex,
): Promise<string> {
  const salted = salt === null ? {} : { salt };
  return sha256Hex(utf8(canonicalJson({ type, identifier, payload, ...salted })));
}
