/** What an administrator sees again of a command, and what not. */
import { describe, expect, it } from 'vitest';
import { maskCommand } from '../../../src/domain/command/mask.ts';
import { jsonToPlist } from '../../../src/protocol/plist/json.ts';
import type { PlistDict } from '../../../src/protocol/plist/value.ts';
import { value } from '../../support/pairing.ts';

const MASK = '[secret]';
const masked = (command: unknown) => maskCommand(value(jsonToPlist(command)) as PlistDict);

describe('a masked command', () => {
  it.each([
    ['a profile', { Payload: { $data: 'AAEC' } }, { Payload: MASK }],
    ['data wherever it stands', { Items: [{ Deep: { $data: 'AAEC' } }] }, { Items: [{ Deep: MASK }] }],
    ['a token in text', { UnlockToken: 'x', BypassCode: 'y' }, { UnlockToken: MASK, BypassCode: MASK }],
    ['a PIN, also one that is a number', { PIN: 123456 }, { PIN: MASK }],
    [
      'passwords by any name',
      { Password: 'a', NewPassword: 'b', passwordHash: 'c', Passphrase: { deep: 'd' } },
      { Password: MASK, NewPassword: MASK, passwordHash: MASK, Passphrase: MASK },
    ],
    [
      'the configuration of an app',
      {
        Settings: [
          { Item: 'ApplicationConfiguration', Identifier: 'com.example', Configuration: { k: 'v' } },
        ],
      },
      { Settings: [{ Item: 'ApplicationConfiguration', Identifier: 'com.example', Configuration: MASK }] },
    ],
    [
      'what a URL says beside its place',
      { ManifestURL: 'https://me:pw@example.com/app.plist?signature=abc#x' },
      { ManifestURL: `https://${MASK}@example.com/app.plist?${MASK}` },
    ],
    [
      'the permission in the URL of a package of this server',
      {
        ManifestURL: 'https://mdm.example/apps/c2VhbGVk/manifest.plist',
        URL: 'https://m/apps/x_-y/package.ipa',
      },
      {
        ManifestURL: `https://mdm.example/apps/${MASK}/manifest.plist`,
        URL: `https://m/apps/${MASK}/package.ipa`,
      },
    ],
  ])('hides %s', (_what, said, shown) => {
    expect(masked({ RequestType: 'X', ...said })).toEqual({ RequestType: 'X', ...shown });
  });

  it.each([
    ['a query', { Queries: ['UDID', 'IsSupervised'] }],
    ['a message', { Message: 'Lost? Call us: https', PhoneNumber: '+1 555 0100' }],
    ['an application', { Identifier: 'com.example.app', ManagementFlags: 1, Options: { PurchaseMethod: 1 } }],
    ['a plain URL', { ManifestURL: 'https://example.com/app.plist' }],
    ['a yes or no', { PreserveDataPlan: true, RequirePasscode: false }],
    ['a date', { Since: { $date: '2026-11-20T12:00:00Z' } }],
  ])('shows %s', (_what, said) => {
    const command = { RequestType: 'X', ...said };
    expect(masked(command)).toEqual(command);
  });
});
