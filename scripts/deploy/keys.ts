/**
 * The keys of a deployment: which are missing, what they will be, and whether the Worker could serve with them. They
 * live in this process alone, until Wrangler has them from its standard input. What exists is never replaced, but the
 * administrator key where that is asked for: a new authority would make every device enroll again.
 */
import '../local/uint8array.ts';
import { BootstrapKey } from '../../src/domain/admin/bootstrap-key.ts';
import { PairingTokenKeys } from '../../src/pki/jws.ts';
import { importAuthority } from '../../src/pki/keys.ts';
import { importSealKey } from '../../src/pki/seal.ts';
import { EscapementError } from '../../src/std/outcome.ts';
import { Secret } from '../../src/std/secret.ts';
import { createAuthority } from '../local/authority.ts';
import { createTokenKeys, randomText } from '../local/secrets.ts';
import { Stop } from './site.ts';

export type Keys = Readonly<Record<string, string>>;

const AUTHORITY = ['CA_CERTIFICATE', 'CA_KEY'] as const;

/** Of the names, those that nobody handed in, made up. */
export async function makeKeys(names: readonly string[], organization: string): Promise<Keys> {
  const made: Record<string, string> = {};
  if (names.includes('CA_CERTIFICATE')) {
    const commonName = `${organization} Device CA`.slice(0, 64);
    const authority = await createAuthority({ commonName, organization, key: 'RSA-2048' });
    made['CA_CERTIFICATE'] = authority.certificate;
    made['CA_KEY'] = authority.key;
  }
  if (names.includes('ADMIN_KEY')) made['ADMIN_KEY'] = randomText(24, 'base64url');
  if (names.includes('STORAGE_KEY')) made['STORAGE_KEY'] = randomText(32, 'base64');
  if (names.includes('RELAY_KEY')) made['RELAY_KEY'] = randomText(32, 'base64');
  if (names.includes('TOKEN_KEYS')) made['TOKEN_KEYS'] = await createTokenKeys();
  return made;
}

/** A JSON object of names and values, as `--escrow-to` wrote it and `openssl cms -decrypt` gives it back. */
export function readKeys(text: string, known: readonly string[]): Keys {
  const fix = 'Pipe in a JSON object: {"CA_CERTIFICATE":"-----BEGIN…","CA_KEY":"…"}.';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The reason would quote what was read.
    throw new Stop('Standard input is not JSON', fix);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Stop('Not an object', fix);
  for (const [name, one] of Object.entries(value)) {
    if (!known.includes(name))
      throw new Stop(`Standard input has ${name}, which is no secret of the Worker`, fix);
    if (typeof one !== 'string' || one === '') throw new Stop(`${name} is not text`, fix);
  }
  return value as Keys;
}

/** Two halves that do not belong together would be found by the first device: half a pair is refused. */
export function refuseHalfAuthority(has: ReadonlySet<string>, provided: Keys): void {
  const [first, second] = AUTHORITY;
  const there = AUTHORITY.filter((name) => has.has(name));
  if (there.length === 1) {
    throw new Stop(
      `The Worker has ${there[0]} without ${there[0] === first ? second : first}`,
      'Put the missing half back with wrangler secret put; only you can know it. Nothing is made up in its place.',
    );
  }
  if (there.length === 0 && first in provided !== second in provided) {
    throw new Stop(`${first} and ${second} go together`, 'Hand in both, or neither.');
  }
}

/** By the Worker's own judgment, so that it does not answer 503 afterwards. */
export async function refuseUnfit(keys: Keys): Promise<void> {
  const { ADMIN_KEY, CA_CERTIFICATE, CA_KEY, STORAGE_KEY, TOKEN_KEYS, RELAY_KEY } = keys;
  try {
    if (CA_CERTIFICATE !== undefined && CA_KEY !== undefined) await importAuthority(CA_CERTIFICATE, CA_KEY);
    if (STORAGE_KEY !== undefined) await importSealKey(STORAGE_KEY);
    if (TOKEN_KEYS !== undefined) await PairingTokenKeys.import(TOKEN_KEYS);
    if (RELAY_KEY !== undefined) await importSealKey(RELAY_KEY);
    if (ADMIN_KEY !== undefined) new BootstrapKey(new Secret(ADMIN_KEY));
  } catch (error) {
    // Anything else that is thrown may quote the key.
    const reason = error instanceof EscapementError ? error.message : 'a key cannot be imported';
    throw new Stop(`The Worker could not serve with these keys: ${reason}`, 'Hand in others, or none.');
  }
}
