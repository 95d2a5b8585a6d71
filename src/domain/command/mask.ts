/**
 * A command as administrators may see it again: what could be secret in it is masked, in this one place. Masked are
 * all data (profiles, tokens, keys), what stands under a key that names a secret, the configurations of apps, which
 * hold whatever their makers put there, the query of a URL, where signatures and tokens stand, and the token in the
 * path of this server's own packages.
 *
 * By name and kind, not by RequestType: a command that is newer than this page is masked like the others.
 */
import type { JsonValue } from '../../protocol/plist/json.ts';
import { plistToJson } from '../../protocol/plist/json.ts';
import type { PlistDict, PlistValue } from '../../protocol/plist/value.ts';
import { MASK } from '../declaration/status-secrets.ts';

/** `Configuration` and `ConfigurationDictionary` are an app's. A yes or no under any of these is no secret. */
const SECRET_KEYS =
  /pass(word|code|phrase)|secret|token|credential|bypass|recovery|privatekey|unlock|auth|^configuration|pin$/i;

/** As src/domain/app/package-urls.ts makes them: whoever has the token may download. */
const PACKAGE = /\/apps\/[^/]+\/(manifest\.plist|package\.ipa)$/;

export function maskCommand(command: PlistDict): JsonValue {
  return plistToJson(maskDict(command));
}

function maskDict(dict: PlistDict): PlistDict {
  const masks = (key: string, value: PlistValue) => typeof value !== 'boolean' && SECRET_KEYS.test(key);
  return new Map([...dict].map(([key, value]) => [key, masks(key, value) ? MASK : mask(value)]));
}

/** Recurses no deeper than a command is read. */
function mask(value: PlistValue): PlistValue {
  if (value instanceof Uint8Array) return MASK;
  if (Array.isArray(value)) return value.map(mask);
  if (value instanceof Map) return maskDict(value);
  return typeof value === 'string' ? maskUrl(value) : value;
}

function maskUrl(text: string): string {
  const url = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#@]*@)?([^?#]*)([?#].*)?$/is.exec(text);
  if (url === null) return text;
  const [, scheme = '', user, place = '', query] = url;
  const shown = place.replace(PACKAGE, `/apps/${MASK}/$1`);
  return `${scheme}${user === undefined ? '' : `${MASK}@`}${shown}${query === undefined ? '' : `?${MASK}`}`;
}
