/**
 * Everything that watchOS takes goes to a simulated watch and comes back: declarations, the data of assets, status
 * items, commands, profile payloads, check-in messages, errors. The catalog says which records there are; each has a
 * row, and each row holds or says why it cannot. The table stands at the end of the output of `npm test`.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listEntries } from '../../src/protocol/catalog/catalog.ts';
import { CATALOG_KINDS, type CatalogKind } from '../../src/protocol/catalog/entry.ts';
import { checkInvariants } from '../support/invariants.ts';
import { tellOfDeclarations } from './records/declared.ts';
import { tellOfCommands, tellOfProfiles } from './records/ordered.ts';
import { tellOfStatus } from './records/reported.ts';
import { tellOfDocuments, tellOfMessages, tellOfUnenrollment } from './records/spoken.ts';
import { beginStory, type Story } from './records/story.ts';
import { RecordTable } from './records/table.ts';

const table = new RecordTable();
let story: Story;
beforeAll(async () => {
  story = await beginStory(table);
});
afterAll(checkInvariants);

it('declarations are stored, refused with a fault, delivered, judged and shown', () =>
  tellOfDeclarations(story));

it('status items are subscribed to, reported, shown, and refused with a wrong type', () =>
  tellOfStatus(story));

it('profile payloads are checked, and installed', () => tellOfProfiles(story));

it('check-in messages, MachineInfo and errors are said by a watch, and refused with a fault', () =>
  tellOfMessages(story));

it('commands are checked, queued, delivered as ordered, answered and shown', () => tellOfCommands(story));

it('the documents of declarative management are as the catalog has them', () => tellOfDocuments(story));

it('no answer made a device unenroll', () => {
  expect(tellOfUnenrollment(story)).toBeGreaterThan(100);
});

it('every record is in the table, and holds or says why not', async ({ task }) => {
  const records = new Map<CatalogKind, readonly string[]>();
  for (const kind of CATALOG_KINDS) {
    records.set(
      kind,
      (await listEntries(kind, 'watchOS')).map(({ type }) => type),
    );
  }
  task.meta.printed = table.lines(records);
  const faults = [...records].flatMap(([kind, types]) =>
    types.flatMap((type) => {
      const found = table.has(kind, type) ? table.faults(kind, type) : ['not in the table'];
      return found.map((fault) => `${kind} ${type}: ${fault}`);
    }),
  );
  expect(faults).toEqual([]);
  expect([...records.values()].flat()).toHaveLength(101);
});
