/** Which status items a device is asked for: what its list says, less what it does not have. */
import { describe, expect, it } from 'vitest';
import { parseCapabilities } from '../../../src/domain/declaration/capabilities.ts';
import {
  DEFAULT_SUBSCRIPTIONS,
  type Subscriptions,
  subscriptionDeclarations,
} from '../../../src/domain/declaration/subscriptions.ts';
import { loadCatalog } from '../../../src/protocol/catalog/catalog.ts';
import { type CatalogTarget, entryUnsupported } from '../../../src/protocol/catalog/support.ts';
import { validate } from '../../../src/protocol/catalog/validate.ts';

const catalog = await loadCatalog('status');
const WATCH: CatalogTarget = { platform: 'watchOS', osVersion: '26.1' };
const PHONE: CatalogTarget = { platform: 'iOS', osVersion: '26.1' };

const asked = (lists: Subscriptions, target = WATCH, capabilities: string | null = null) =>
  subscriptionDeclarations(lists, target, parseCapabilities(capabilities), catalog);
const names = (...args: Parameters<typeof asked>) => {
  const [configuration] = asked(...args);
  const content = configuration?.content ?? { serverToken: '' };
  const items = 'payload' in content ? (content.payload['StatusItems'] as { Name: string }[]) : [];
  return items.map((item) => item.Name);
};
const able = (...items: string[]) => JSON.stringify({ supportedStatusItems: items });

describe('the status items of a device', () => {
  it.each([WATCH, PHONE])('by default are those that $platform has', (target) => {
    const listed = names(new Map(), target);
    expect(listed.length).toBeGreaterThan(8);
    expect(listed).toEqual(listed.toSorted());
    for (const name of listed) {
      const entry = catalog.find(name);
      expect(DEFAULT_SUBSCRIPTIONS[target.platform]).toContain(name);
      expect(entry !== null && entryUnsupported(entry, target), name).toBe(null);
    }
    const left = DEFAULT_SUBSCRIPTIONS[target.platform].filter((name) => !listed.includes(name));
    for (const name of left) {
      const entry = catalog.find(name);
      expect(entry !== null && entryUnsupported(entry, target), name).not.toBe(null);
    }
  });

  it.each(['iOS', 'watchOS'] as const)('by default tell of no person: %s', (platform) => {
    for (const name of DEFAULT_SUBSCRIPTIONS[platform]) {
      expect(name).not.toMatch(/account|phone|imei|meid|eid|iccid|subscriber|ethernet|wifi|bluetooth/i);
      expect(catalog.find(name), name).not.toBe(null);
    }
  });

  it('are fewer on a version that does not have them yet, and more on a later one', () => {
    const [old, now, unknown] = ['10.0', '27.0', null].map((osVersion) =>
      names(new Map(), { platform: 'watchOS', osVersion }),
    );
    expect(old?.length).toBeLessThan(now?.length ?? 0);
    for (const name of old ?? []) expect(now).toContain(name);
    expect(unknown?.length).toBeGreaterThanOrEqual(now?.length ?? 0);
  });

  it('are those of the platform alone, each once and in one order', () => {
    const lists: Subscriptions = new Map([
      ['watchOS', ['passcode.is-present', 'device.identifier.udid', 'passcode.is-present']],
      ['iOS', ['mdm.app']],
    ]);
    expect(names(lists)).toEqual(['device.identifier.udid', 'passcode.is-present']);
    expect(names(lists, PHONE)).toEqual(['mdm.app']);
  });

  it('are those that the device says it reports', () => {
    const lists: Subscriptions = new Map([['watchOS', ['passcode.is-present', 'device.identifier.udid']]]);
    expect(names(lists, WATCH, able('passcode.is-present', 'mdm.app'))).toEqual(['passcode.is-present']);
    expect(names(lists, WATCH, able())).toHaveLength(2);
  });

  it('are asked for by no declaration when none is left', () => {
    expect(asked(new Map([['watchOS', []]]))).toEqual([]);
    expect(asked(new Map([['watchOS', ['mdm.app']]]), WATCH, able('passcode.is-present'))).toEqual([]);
  });

  it('are a valid configuration, and an activation of it', async () => {
    const [configuration, activation] = asked(new Map());
    for (const one of [configuration, activation]) {
      if (one === undefined || !('payload' in one.content)) throw new Error('no payload');
      const target = { ...WATCH, supervised: true };
      expect((await validate(one.kind, one.type, one.content.payload, target)).ok, one.type).toBe(true);
    }
    expect(activation?.content).toMatchObject({
      payload: { StandardConfigurations: [configuration?.identifier] },
    });
  });
});
