/** What is sent back: token replies and error documents, to the byte. */
import { describe, expect, it } from 'vitest';
import { enrollmentRefused, pairingTokenMissing } from '../../../src/protocol/mdm/error-document.ts';
import { encodeBootstrapToken, encodeTokenData } from '../../../src/protocol/mdm/get-token.ts';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import { readUtf8, utf8 } from '../../../src/std/bytes.ts';

describe('replies to requests for a token', () => {
  it('hold a pairing token as data, byte for byte', () => {
    const token = utf8('eyJhbGciOiJFUzI1NiJ9.e30.c2ln');
    expect(parsePlist(encodeTokenData(token))).toEqual({ ok: true, value: new Map([['TokenData', token]]) });
  });

  it('hold a bootstrap token as data', () => {
    const token = new Uint8Array([0, 255]);
    expect(parsePlist(encodeBootstrapToken(token))).toEqual({
      ok: true,
      value: new Map([['BootstrapToken', token]]),
    });
  });
});

describe('error documents', () => {
  it('ask a watch for a pairing token, minimally and exactly', () => {
    const { body, contentType } = pairingTokenMissing('6C0B7C53-3E0B-4E3D-9E0E-0D3A6A1F5E11');
    expect(contentType).toBe('application/json');
    expect(readUtf8(body)).toBe(
      '{"code":"com.apple.watch.pairing.token.missing","description":"pairing token required","details":{"security-token":"6C0B7C53-3E0B-4E3D-9E0E-0D3A6A1F5E11"}}',
    );
  });

  it('end an enrollment with words for the log and for the person', () => {
    const { body, contentType } = enrollmentRefused('token expired', 'Ask your administrator "why".');
    expect(contentType).toBe('application/json');
    expect(JSON.parse(readUtf8(body) as string)).toEqual({
      code: 'com.escapement.enrollment.refused',
      description: 'token expired',
      message: 'Ask your administrator "why".',
    });
  });
});
