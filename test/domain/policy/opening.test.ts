/** Profiles opened for the policy: signed or not, of the token and the enrollment that count, and why one is not. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import type { CompiledDeclaration } from '../../../src/domain/declaration/compile.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import {
  OPENED_BYTES_MAX,
  openDeclared,
  openOrdered,
  type ProfileOpenerOptions,
} from '../../../src/domain/policy/opening.ts';
import type { DeclaredProfile, OrderedProfile } from '../../../src/domain/policy/ports.ts';
import { signAttached } from '../../../src/pki/cms-sign.ts';
import { importAuthority } from '../../../src/pki/keys.ts';
import type { JsonObject } from '../../../src/protocol/plist/json.ts';
import { type Bytes, utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';
import { mobileConfig } from '../../support/uploads.ts';
import { PHONE, WATCH } from './sources.ts';

const LEGACY = 'com.apple.configuration.legacy';
const URL = { ProfileURL: 'https://mdm.example.com/ddm/profiles/p' };
const PROFILE = utf8(mobileConfig());

function held(identifier: string, over: Partial<CompiledDeclaration> = {}): CompiledDeclaration {
  return {
    ...{ kind: 'configuration', identifier, type: LEGACY, payload: URL, serverToken: 't', withheld: null },
    origin: { sets: [], setting: null },
    ...over,
  };
}

const stored = (identifier: string, over: Partial<DeclaredProfile> = {}): DeclaredProfile => ({
  ...{ identifier, resource: 'profiles', serverToken: 't', relevant: true, sealed: PROFILE },
  ...over,
});

const ordered = (over: Partial<OrderedProfile> = {}): OrderedProfile => ({
  ...{
    udid: WATCH,
    identifier: 'p',
    payloadIdentifier: 'com.example.p',
    enrollmentId: 'now',
    state: 'installed',
  },
  ...{ isInstalled: true, installedAtMs: epochMs(1), isKept: true, relevant: true, sealed: PROFILE },
  ...over,
});

const asked: string[][] = [];

/** What is sealed is as it was, unless it is empty. */
function options(rows: {
  readonly declared?: readonly DeclaredProfile[];
  readonly ordered?: readonly OrderedProfile[];
}): ProfileOpenerOptions {
  return {
    store: {
      declared: async (identifiers, { bytesMax }) => {
        asked.push([...identifiers, String(bytesMax)]);
        return rows.declared ?? [];
      },
      ordered: async () => rows.ordered ?? [],
    },
    seal: { open: async (_identifier, sealed) => (sealed.length === 0 ? null : sealed) },
  };
}

async function opening(
  declared: readonly DeclaredProfile[],
  compiled = [held('p')],
  payloads: Record<string, JsonObject> = {},
) {
  const found = await openDeclared(
    [{ compiled, payloads: new Map(Object.entries(payloads)) }],
    options({ declared }),
  );
  return Object.fromEntries(
    [...found].map(([name, one]) => [name, one.kind === 'unread' ? one.reason : one.kind]),
  );
}

describe('behind a declaration', () => {
  it('is opened, signed or not', async () => {
    const { signer } = await importAuthority(env.CA_CERTIFICATE, env.CA_KEY);
    const signed = (await signAttached(PROFILE, signer)) as Bytes;
    expect(await opening([stored('p')])).toEqual({ p: 'opened' });
    expect(await opening([stored('p', { sealed: signed })])).toEqual({ p: 'opened' });
  });

  it('is not opened for another token than the manifest names, past the limit, or when it does not open', async () => {
    expect(await opening([stored('p', { serverToken: 'newer' })])).toEqual({ p: 'changed' });
    expect(await opening([stored('p', { sealed: null })])).toEqual({ p: 'limit' });
    expect(await opening([stored('p', { sealed: utf8('') })])).toEqual({ p: 'unreadable' });
    expect(await opening([stored('p', { sealed: utf8('no plist') })])).toEqual({ p: 'unreadable' });
    expect(await opening([stored('p', { relevant: false, sealed: null })])).toEqual({ p: 'other' });
    expect(await opening([])).toEqual({});
  });

  it('may be an asset that the configuration refers to, of the token that the manifest has for the asset', async () => {
    const compiled = [
      held('p', { payload: null }),
      held('data', { kind: 'asset', type: 'com.apple.asset.data', serverToken: 'a' }),
    ];
    const payloads = { p: { ProfileAssetReference: 'data' } };
    const asset = stored('data', { resource: 'assets', serverToken: 'a' });
    expect(await opening([asset], compiled, payloads)).toEqual({ p: 'opened' });
    expect(await opening([stored('data', { resource: 'assets' })], compiled, payloads)).toEqual({
      p: 'changed',
    });
  });

  it('is asked for once for all devices, and not at all where nothing is held', async () => {
    asked.length = 0;
    const both = [held('p'), held('q', { withheld: { rule: 'platform', expected: 'not watchOS' } })];
    const device = { compiled: both, payloads: new Map() };
    await openDeclared([device, device], options({}));
    await openDeclared([{ compiled: [], payloads: new Map() }], options({}));
    expect(asked).toEqual([['p', String(OPENED_BYTES_MAX)]]);
  });
});

describe('by command', () => {
  const given = async (...rows: OrderedProfile[]) => {
    const devices = new Map<Udid, { enrollmentId: string }>([
      [WATCH, { enrollmentId: 'now' }],
      [PHONE, { enrollmentId: 'now' }],
    ]);
    return openOrdered(devices, options({ ordered: rows }));
  };

  it('is opened for its device, in the present enrollment', async () => {
    const found = await given(ordered(), ordered({ udid: PHONE }), ordered({ enrollmentId: 'before' }));
    expect([...found].map(([udid, list]) => [udid, list.length])).toEqual([
      [WATCH, 1],
      [PHONE, 1],
    ]);
    expect(found.get(WATCH)).toMatchObject([
      { identifier: 'p', state: 'installed', content: { kind: 'opened' } },
    ]);
  });

  it('is named when its version is no longer stored, and passed over when nothing in it is asked for', async () => {
    const found = await given(
      ordered({ isKept: false, relevant: false, sealed: null }),
      ordered({ relevant: false, sealed: null }),
    );
    expect(found.get(WATCH)?.map(({ content }) => content)).toEqual([
      { kind: 'unread', reason: 'deleted' },
      { kind: 'other' },
    ]);
  });
});
