/**
 * The Worker's secrets: those it has stay, those it lacks are handed in or made, checked, copied for escrow, and stored
 * by one request, all or none. An interruption therefore leaves either all of them, or none and nothing lost.
 */

import type { AppleAnchor } from '../../src/pki/apple-anchors.ts';
import { type AnchorRefusal, judgeAnchors } from '../trust-anchors/anchors.ts';
import { REQUIRED_SECRETS } from './config.ts';
import { type Recipient, writeEscrow } from './escrow.ts';
import { type Keys, makeKeys, refuseHalfAuthority, refuseUnfit } from './keys.ts';
import { change, type Finding, kept, type Site, type Step, Stop } from './site.ts';

export interface SecretSources {
  /** From standard input, and from the environment. */
  readonly provided: Keys;
  readonly recipient: Recipient | null;
  readonly pins: readonly AppleAnchor[];
  /** PEM, from a file or from Apple. Throws `AnchorRefusal`. */
  anchors(): Promise<string>;
}

/** Not required by `wrangler.toml`: the log transport and mTLS do without. */
export const RELAY_KEY = 'RELAY_KEY';
/** Not a secret, though it is kept with them: 5 KB is too long for some variables. */
const ANCHORS = 'DEVICE_ANCHORS';

export function secrets(sources: SecretSources): Step {
  return {
    async look(site) {
      const { worker, choices } = site;
      const wanted = wantedNames(site);
      refuseHalfAuthority(worker.secrets, sources.provided);
      const missing = wanted.filter((name) => !worker.secrets.has(name));
      const replaced = choices.newAdminKey && worker.secrets.has('ADMIN_KEY') ? ['ADMIN_KEY'] : [];
      if (missing.length + replaced.length === 0) {
        return kept(`keys ${wanted.filter((name) => name !== ANCHORS).join(', ')}, never replaced`);
      }
      refuseUnknowable(site, sources, [...missing, ...replaced]);
      await refuseOrphans(site, sources, missing);
      const provided = Object.fromEntries(
        Object.entries(sources.provided).filter(([name]) => [...missing, ...replaced].includes(name)),
      );
      await refuseUnfit(provided);
      if (missing.includes(ANCHORS)) await readAnchors(sources);
      return store(site, sources, { missing, replaced, provided });
    },
  };
}

interface Plan {
  readonly missing: readonly string[];
  readonly replaced: readonly string[];
  readonly provided: Keys;
}

function store(site: Site, sources: SecretSources, { missing, replaced, provided }: Plan): Finding {
  const names = [...missing, ...replaced];
  const made = names.filter((name) => !(name in provided) && name !== ANCHORS);
  const parts = [
    ...(made.length > 0 ? [`make ${made.join(', ')}`] : []),
    ...(Object.keys(provided).length > 0 ? [`take ${Object.keys(provided).join(', ')}`] : []),
    ...(missing.includes(ANCHORS) ? ["take Apple's published roots as DEVICE_ANCHORS"] : []),
  ];
  const replaces = replaced.length > 0 ? '; the old administrator key ends' : '';
  return change(`${parts.join('; ')}; store them as secrets${replaces}`, async () => {
    const generated = await makeKeys(made, site.vars['ORGANIZATION'] ?? '');
    const anchors = missing.includes(ANCHORS) ? { [ANCHORS]: await readAnchors(sources) } : {};
    const all: Keys = { ...generated, ...provided, ...anchors };
    await refuseUnfit(all);
    if (sources.recipient !== null) {
      const path = await writeEscrow(sources.recipient, all);
      site.tell(`escrow   ${path}, for ${sources.recipient.subject.replaceAll('\n', ', ')} alone`);
    }
    // Before they are stored: a key that was stored and never shown would be lost.
    if (site.choices.show.adminKey && generated['ADMIN_KEY'] !== undefined) {
      site.tell(`ADMIN_KEY   ${generated['ADMIN_KEY']}`);
    }
    if (site.choices.show.relayKey && generated[RELAY_KEY] !== undefined) {
      site.tell(`RELAY_KEY   ${generated[RELAY_KEY]}`);
    }
    await site.wrangler.run(['secret', 'bulk', '--name', site.names.worker], {
      input: JSON.stringify(all),
      secrets: Object.values(all).flatMap((value) => [value, JSON.stringify(value).slice(1, -1)]),
    });
  });
}

function wantedNames({ vars }: Site): readonly string[] {
  const relay = vars['PUSH_TRANSPORT'] === 'relay' && !REQUIRED_SECRETS.includes(RELAY_KEY);
  return [...REQUIRED_SECRETS, ...(relay ? [RELAY_KEY] : [])];
}

/** A key that two sides must know is worth nothing when one of them never learns it. */
function refuseUnknowable({ choices }: Site, { provided }: SecretSources, names: readonly string[]): void {
  const unknown = (name: string, shown: boolean) => names.includes(name) && !shown && !(name in provided);
  if (unknown('ADMIN_KEY', choices.show.adminKey)) {
    throw new Stop(
      'An administrator key has to be made, and nobody would learn it',
      'Set ESCAPEMENT_ADMIN_KEY (from a password manager, 16 or more letters and digits), or say --show-admin-key.',
    );
  }
  if (unknown(RELAY_KEY, choices.show.relayKey)) {
    throw new Stop(
      'A key for the relay has to be made, and the relay would not learn it',
      'Set ESCAPEMENT_RELAY_KEY (openssl rand -base64 32), or say --show-relay-key.',
    );
  }
}

/** A database with devices in it belongs to keys that once were: new ones open nothing of theirs. */
async function refuseOrphans(
  site: Site,
  { provided }: SecretSources,
  missing: readonly string[],
): Promise<void> {
  const lost = ['CA_KEY', 'STORAGE_KEY'].filter((name) => missing.includes(name) && !(name in provided));
  if (lost.length === 0 || site.databaseId === null) return;
  const path = `d1/database/${site.databaseId}/query`;
  const ask = async (sql: string) =>
    (await site.api.make(path, { sql }, 'D1: Edit')) as unknown as { results?: { n: number }[] }[];
  const tables = await ask("SELECT count(*) AS n FROM sqlite_master WHERE name = 'devices'");
  if ((tables[0]?.results?.[0]?.n ?? 0) === 0) return;
  const devices = (await ask('SELECT count(*) AS n FROM devices'))[0]?.results?.[0]?.n ?? 0;
  if (devices === 0) return;
  throw new Stop(
    `The database knows ${devices} devices, and the Worker has no ${lost.join(' and no ')}`,
    'Hand in the keys they enrolled under (--secrets-stdin), or deploy under another --name.',
  );
}

async function readAnchors(sources: SecretSources): Promise<string> {
  const own = sources.provided[ANCHORS];
  try {
    const pem = own ?? (await sources.anchors());
    await judgeAnchors(pem, sources.pins);
    return pem;
  } catch (error) {
    throw new Stop(
      `Trust anchors: ${(error as AnchorRefusal).message}`,
      'Run npm run trust-anchors where apple.com can be reached, and give its file by --anchors.',
    );
  }
}
