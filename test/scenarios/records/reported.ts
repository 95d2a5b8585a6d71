/**
 * Status items: the watch holds a subscription to all of them, reports each with a value of its type, and the
 * administrator sees that value, also after a report with a wrong one was refused.
 */
import { Buffer } from 'node:buffer';
import { expect } from 'vitest';
import { listEntries } from '../../../src/protocol/catalog/catalog.ts';
import type { JsonObject, JsonValue } from '../../../src/protocol/plist/json.ts';
import { statusItems } from '../../simulator/inventory.ts';
import { admin, type Json } from '../../support/front-door.ts';
import { problemsOf } from './content.ts';
import { PREFIX } from './declared.ts';
import type { Story } from './story.ts';

const SUBSCRIPTIONS = 'com.apple.configuration.management.status-subscriptions';

/** What lets Apple wake the device is not shown. */
const MASKED: ReadonlySet<string> = new Set(['mdm.push-token', 'mdm.push-magic']);

const WRONG: Readonly<Record<string, JsonValue>> = {
  ...{ string: 7, data: 7, integer: 4.5, real: '2.5', boolean: 'true', array: {}, dictionary: [] },
};

export async function tellOfStatus(story: Story): Promise<void> {
  const { table, watch } = story;
  const subscription = watch.declarations.find(
    ({ declaration }) => declaration.type === SUBSCRIPTIONS && declaration.identifier.startsWith(PREFIX),
  );
  const subscribed = ((subscription?.declaration.payload['StatusItems'] ?? []) as Json[]).map(
    (item) => item['Name'],
  );
  const own = statusItems(watch.model, watch.facts);
  for (const { type, keys } of await listEntries('status', 'watchOS')) {
    expect(subscribed, type).toContain(type);
    table.note('status', type, 'subscribed');
    const item = await shownOf(story, type);
    const reported = type.startsWith('management.') ? item['value'] : own[type];
    expect(item['value'], type).toEqual(MASKED.has(type) ? '[secret]' : reported);
    const content = { [type]: reported } as JsonObject;
    expect(await problemsOf('status', type, content), type).toEqual([]);
    table.note('status', type, 'reported', 'shown');
    const wrong = WRONG[keys?.find((key) => key.name === type)?.type ?? ''];
    if (wrong === undefined) throw new Error(`no wrong value for ${type}`);
    expect(await problemsOf('status', type, { [type]: wrong }), type).toHaveLength(1);
    expect(await say(story, type, wrong), `${type}: ${JSON.stringify(wrong)}`).toBe(400);
    expect(await shownOf(story, type)).toEqual(item);
    table.note('status', type, 'refused');
  }
  await changeAndFail(story);
}

async function shownOf({ watch }: Story, name: string): Promise<Json> {
  const { items } = await admin('GET', `devices/${watch.udid}/status`);
  const item = (items as Json[]).find((one) => one['name'] === name);
  if (item === undefined) throw new Error(`${name} is not shown`);
  return item;
}

async function say({ watch }: Story, name: string, value: JsonValue): Promise<number> {
  const StatusItems = name.split('.').reduceRight<JsonValue>((inner, part) => ({ [part]: inner }), value);
  const Data = Buffer.from(JSON.stringify({ StatusItems, Errors: [] }));
  return (await watch.checkIn('DeclarativeManagement', { Endpoint: 'status', Data })).status;
}

/** What changes is reported by itself, and an item that fails keeps its last value beside the error. */
async function changeAndFail(story: Story): Promise<void> {
  const { watch } = story;
  watch.facts.status.set('test.string-value', 'another');
  watch.facts.statusErrors.set('test.error-value', [{ Code: 'Error.Unknown', Description: 'as asked for' }]);
  expect((await watch.connect()).reported).toBe(true);
  expect(await shownOf(story, 'test.string-value')).toMatchObject({ value: 'another', error: null });
  expect(await shownOf(story, 'test.error-value')).toMatchObject({
    value: 'value',
    error: { reasons: [{ code: 'Error.Unknown', description: 'as asked for' }] },
  });
}
