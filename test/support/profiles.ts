/** Profiles as an administrator describes them, built without a Worker, and the examples of docs/api.md. */

import { buildProfile } from '../../src/domain/profile/build.ts';
import type { PayloadDraft, ProfileDraft } from '../../src/domain/profile/draft.ts';
import type { Finding } from '../../src/domain/profile/findings.ts';
import { sha256Hex } from '../../src/pki/digest.ts';
import type { JsonObject } from '../../src/protocol/plist/json.ts';
import type { Bytes } from '../../src/std/bytes.ts';
import { type EpochMs, epochMs } from '../../src/std/time.ts';

export const IDENTIFIER = 'com.example.profile';
export const NOW = epochMs(Date.UTC(2027, 5, 1));

export const DIGESTS = {
  sha256Hex,
  fingerprint: (_identifier: string, content: Bytes) => sha256Hex(content),
};

export function build(
  draft: ProfileDraft,
  over: { allowUnknown?: boolean; identifier?: string; nowMs?: EpochMs } = {},
) {
  const { allowUnknown = false, identifier = IDENTIFIER, nowMs = NOW } = over;
  return buildProfile(draft, { identifier, allowUnknown, nowMs, ...DIGESTS });
}

export function payload(type: string, keys: JsonObject, name = 'one'): PayloadDraft {
  return { type, name, keys };
}

export interface Verdict {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Of each finding its rule and its place, below the keys of the last payload where it is there. */
export async function judge(
  draft: Omit<ProfileDraft, 'displayName'>,
  over: Parameters<typeof build>[1] = {},
): Promise<Verdict> {
  const built = await build({ displayName: 'Profile', ...draft }, over);
  const keys = `payloads[${draft.payloads.length - 1}].keys`;
  const short = ({ path, rule, platform }: Finding) => {
    const place = path.startsWith(keys) ? path.slice(keys.length).replace(/^\./, '') : path;
    return `${rule} ${place}${platform === undefined ? '' : ` on ${platform}`}`;
  };
  const { warnings } = built.ok ? built.value : built.refusal;
  return { problems: built.ok ? [] : built.refusal.problems.map(short), warnings: warnings.map(short) };
}

export interface ExampleFiles {
  /** `BASE64-OF-ca.der`, `PEM-OF-ca.pem`, `BASE64-OF-identity.p12`. */
  readonly [placeholder: string]: string;
}

/** The profiles that the page describes, with files in place of their names. */
export function examplesOf(page: string, files: ExampleFiles): (ProfileDraft & JsonObject)[] {
  return [...page.matchAll(/```json\n([\s\S]*?)```/g)]
    .map(([, text = '']) => text)
    .filter((text) => text.includes('"payloads":[') && text.includes('"keys"'))
    .map((text) =>
      JSON.parse(text, (_key, value: unknown) =>
        typeof value === 'string' && Object.hasOwn(files, value) ? files[value] : value,
      ),
    );
}
