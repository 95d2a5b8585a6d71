/** Certificate payloads: every way to write one, what is not one, and what is out of date. */
import { describe, expect, it } from 'vitest';
import { buildProfile } from '../../../src/domain/profile/build.ts';
import { parsePem } from '../../../src/pki/pem.ts';
import { type JsonObject, plistToJson } from '../../../src/protocol/plist/json.ts';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import { type Bytes, toBase64, utf8 } from '../../../src/std/bytes.ts';
import { epochMs } from '../../../src/std/time.ts';
import { build, DIGESTS, IDENTIFIER, judge, payload } from '../../support/profiles.ts';
import vectors from '../../vectors/pkcs12/openssl.json';
import keyPem from '../../vectors/scep/ca.key.pem?raw';
import caPem from '../../vectors/scep/ca.pem?raw';

const ROOT = 'com.apple.security.root';
const PKCS1 = 'com.apple.security.pkcs1';
const PEM = 'com.apple.security.pem';
const PKCS12 = 'com.apple.security.pkcs12';
const der = parsePem(caPem, 'CERTIFICATE')[0] as Bytes;
const base64 = toBase64(der);
const data = (bytes: Bytes) => ({ $data: toBase64(bytes) });

async function contentOf(type: string, keys: JsonObject): Promise<unknown> {
  const outcome = await build({ displayName: 'Certificate', payloads: [payload(type, keys)] });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal));
  const parsed = parsePlist(outcome.value.profile);
  if (!parsed.ok) throw new Error(parsed.refusal.reason);
  const { PayloadContent: content } = plistToJson(parsed.value) as { PayloadContent: JsonObject[] };
  return content[0]?.['PayloadContent'];
}

const problemsOf = async (type: string, keys: JsonObject) =>
  (await judge({ payloads: [payload(type, keys)] })).problems;

describe('a certificate', () => {
  it.each([ROOT, PKCS1])('of %s is DER, however it was written', async (type) => {
    for (const written of [caPem, base64, data(der), caPem.replaceAll('\n', '\r\n')])
      expect(await contentOf(type, { PayloadContent: written })).toEqual(data(der));
  });

  it('of .pem is PEM in one form, however it was written', async () => {
    const windows = caPem.replaceAll('\n', '\r\n');
    for (const written of [
      caPem,
      base64,
      data(utf8(caPem)),
      windows,
      data(utf8(windows)),
      `a comment\n${caPem}`,
    ])
      expect(await contentOf(PEM, { PayloadContent: written })).toEqual(data(utf8(caPem)));
  });

  it.each([ROOT, PKCS1, PEM])('of %s must be one, and only one', async (type) => {
    const refused = ['certificate PayloadContent'];
    const wrong = [
      '',
      'not base64',
      'AAAA',
      caPem + caPem,
      caPem.slice(0, -40),
      data(utf8('x')),
      data(der.slice(1)),
    ];
    for (const written of wrong) expect(await problemsOf(type, { PayloadContent: written })).toEqual(refused);
    expect(await problemsOf(type, {})).toEqual(['required PayloadContent']);
    expect(await problemsOf(type, { PayloadContent: 5 })).toEqual(['type PayloadContent']);
  });

  it('comes without its private key', async () => {
    expect(await problemsOf(PEM, { PayloadContent: caPem + keyPem })).toEqual(['certificate PayloadContent']);
    expect(await problemsOf(PEM, { PayloadContent: data(utf8(keyPem + caPem)) })).toEqual([
      'certificate PayloadContent',
    ]);
  });

  it.each([
    [Date.UTC(2020, 0, 1), ['not-yet-valid']],
    [Date.UTC(2030, 0, 1), []],
    [Date.UTC(2050, 0, 1), ['expired']],
  ])('asked at %d is warned of: %j', async (at, rules) => {
    const identity = { PayloadContent: vectors.files[0]?.file ?? '', Password: vectors.password };
    const payloads = [
      ...[ROOT, PKCS1, PEM].map((type, index) => payload(type, { PayloadContent: caPem }, `c${index}`)),
      payload(PKCS12, identity, 'identity'),
    ];
    const options = { identifier: IDENTIFIER, allowUnknown: false, nowMs: epochMs(at), ...DIGESTS };
    const outcome = await buildProfile({ displayName: 'a', payloads }, options);
    const warnings = outcome.ok ? outcome.value.warnings : [];
    for (const index of payloads.keys()) {
      const path = `payloads[${index}].keys.PayloadContent`;
      expect(warnings.filter((warning) => warning.path === path).map(({ rule }) => rule)).toEqual(rules);
    }
  });
});

describe('an identity', () => {
  it.each(vectors.files)('with $name: $verdict', async ({ file, verdict }) => {
    const keys = { PayloadContent: file, Password: vectors.password };
    expect(await problemsOf(PKCS12, keys)).toEqual(verdict === 'ok' ? [] : ['identity PayloadContent']);
    if (verdict === 'ok') expect(await contentOf(PKCS12, keys)).toEqual({ $data: file });
  });

  it('opens with its password, and not with another or none', async () => {
    const PayloadContent = vectors.files[0]?.file ?? '';
    expect(await problemsOf(PKCS12, { PayloadContent, Password: 'wrong' })).toEqual(['password Password']);
    expect(await problemsOf(PKCS12, { PayloadContent })).toEqual(['password Password']);
  });

  it('is a PKCS#12 file', async () => {
    for (const PayloadContent of ['%', 'AAAA', '', data(der)])
      expect(await problemsOf(PKCS12, { PayloadContent, Password: 'x' })).toEqual([
        'identity PayloadContent',
      ]);
  });

  it('is one of five at most in a profile, so that opening them takes no minutes', async () => {
    const keys = { PayloadContent: vectors.files[0]?.file ?? '', Password: vectors.password };
    const payloads = (count: number) =>
      Array.from({ length: count }, (_, at) => payload(PKCS12, keys, `identity-${at}`));
    expect((await judge({ payloads: payloads(5) })).problems).toEqual([]);
    expect((await judge({ payloads: payloads(6) })).problems).toEqual(['count payloads[5].type']);
  });
});
