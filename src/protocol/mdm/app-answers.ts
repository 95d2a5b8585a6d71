/**
 * What devices answer to the commands about apps (facts 12; Apple: InstallApplication, ManagedApplicationList), from the
 * kept result. Tolerant: what is not there or of another type is null.
 */
import type { Bytes } from '../../std/bytes.ts';
import { parsePlistDict } from '../plist/parse.ts';
import { isDict, type PlistDict, RESULT_LIMITS } from '../plist/value.ts';

export interface InstallAnswer {
  readonly state: string | null;
  readonly rejection: string | null;
}

/** The longest word of the catalog has 36 characters. */
const WORD_CHARS_MAX = 64;
const DESCRIPTION_CHARS_MAX = 256;

export function readInstallAnswer(raw: Bytes | null): InstallAnswer {
  const result = readResult(raw);
  return { state: word(result, 'State'), rejection: word(result, 'RejectionReason') };
}

/** `Status` of the app; null when the device does not list it. */
export function readManagedStatus(raw: Bytes | null, bundleId: string): string | null {
  const list = readResult(raw).get('ManagedApplicationList');
  const app = isDict(list) ? list.get(bundleId) : undefined;
  return isDict(app) ? word(app, 'Status') : null;
}

/** The top error in words. */
export function readErrorDescription(raw: Bytes | null): string | null {
  const chain = readResult(raw).get('ErrorChain');
  const top = Array.isArray(chain) ? chain[0] : undefined;
  if (!isDict(top)) return null;
  const said = top.get('USEnglishDescription') ?? top.get('LocalizedDescription');
  return typeof said === 'string' ? said.slice(0, DESCRIPTION_CHARS_MAX) : null;
}

function readResult(raw: Bytes | null): PlistDict {
  const plist = raw === null ? null : parsePlistDict(raw, RESULT_LIMITS);
  return plist?.ok ? plist.value : new Map();
}

function word(dict: PlistDict, key: string): string | null {
  const value = dict.get(key);
  return typeof value === 'string' ? value.slice(0, WORD_CHARS_MAX) : null;
}
