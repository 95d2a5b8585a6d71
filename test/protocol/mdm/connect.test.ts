import { describe, expect, it } from 'vitest';
import { parseCommandUuid } from '../../../src/domain/ids.ts';
import { encodeCommand, parseConnect } from '../../../src/protocol/mdm/connect.ts';
import { encodePlist } from '../../../src/protocol/plist/encode.ts';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import { fromBase64, readUtf8 } from '../../../src/std/bytes.ts';
import { type Message, readsBytesStrictly, readsFields, readValue, refusalOf } from './messages.ts';

const UDID = '00008301-000123456789ABCD';
const COMMAND = '0F8C2C2E-6A34-4B0B-9A61-2F4B8D2D0001';
const error = {
  ErrorCode: 12021,
  ErrorDomain: 'MCMDMErrorDomain',
  LocalizedDescription: 'Unbekannt',
  USEnglishDescription: 'Unknown',
};
const report: Message = { UDID, Status: 'Error', CommandUUID: COMMAND, ErrorChain: [error] };

/** As Python's plistlib writes `{UDID, Status, CommandUUID, QueryResponses: {BatteryLevel: 0.5}}`. */
const BINARY =
  'YnBsaXN0MDDUAQIDBAUGCQpbQ29tbWFuZFVVSUReUXVlcnlSZXNwb25zZXNWU3RhdHVzVFVESURTQy0x0QcIXEJhdHRlcnlMZXZlbCM/4AAAAAAAAFxB' +
  'Y2tub3dsZWRnZWRaV0FUQ0gtMDAwMQgRHSwzODw/TFViAAAAAAAAAQEAAAAAAAAACwAAAAAAAAAAAAAAAAAAAG0=';

describe('parseConnect', () => {
  it('reads a binary report, and keeps it as the XML that says the same', () => {
    const result = parseConnect(fromBase64(BINARY) ?? new Uint8Array(0));
    if (!result.ok) throw new Error(result.refusal.kind);
    expect(result.value).toMatchObject({ udid: 'WATCH-0001', status: 'Acknowledged', commandUuid: 'C-1' });
    const kept = parsePlist(result.value.raw);
    expect(readUtf8(result.value.raw)).toContain('<real>0.5</real>');
    expect(kept.ok && kept.value).toEqual(result.value.content);
  });

  it('reads an idle poll', () => {
    const raw = encodePlist({ UDID, Status: 'Idle' });
    expect(parseConnect(raw)).toEqual({
      ok: true,
      value: {
        udid: UDID,
        status: 'Idle',
        commandUuid: null,
        errorChain: [],
        userId: null,
        content: new Map([
          ['UDID', UDID],
          ['Status', 'Idle'],
        ]),
        raw,
      },
    });
  });

  it.each(['Acknowledged', 'Error', 'CommandFormatError', 'NotNow'])(
    'reads the status %s with its command',
    (Status) => {
      expect(readValue(parseConnect, { ...report, Status })).toMatchObject({
        status: Status,
        commandUuid: COMMAND,
      });
    },
  );

  it('keeps a command’s answer', () => {
    const parsed = readValue(parseConnect, {
      UDID,
      Status: 'Acknowledged',
      CommandUUID: COMMAND,
      QueryResponses: { OSVersion: '10.0' },
    });
    expect(parsed.content.get('QueryResponses')).toEqual(new Map([['OSVersion', '10.0']]));
  });

  it('reads an error chain, its first 16 items, and items of a strange form as empty', () => {
    expect(readValue(parseConnect, report).errorChain).toEqual([
      { code: 12021, domain: 'MCMDMErrorDomain', description: 'Unbekannt', usEnglishDescription: 'Unknown' },
    ]);
    expect(readValue(parseConnect, { ...report, ErrorChain: Array(20).fill(error) }).errorChain).toHaveLength(
      16,
    );
    const empty = { code: null, domain: null, description: null, usEnglishDescription: null };
    expect(readValue(parseConnect, { ...report, ErrorChain: ['x', { ErrorCode: 'y' }] }).errorChain).toEqual([
      empty,
      empty,
    ]);
  });

  it('tells a user channel', () => {
    expect(readValue(parseConnect, { UDID, Status: 'Idle', UserID: 'F0F0' }).userId).toBe('F0F0');
  });

  it('refuses another status', () => {
    for (const Status of ['idle', 'Done', 'toString']) {
      expect(refusalOf(parseConnect, { UDID, Status })).toEqual({
        kind: 'malformed-message',
        field: 'Status',
        reason: 'unknown-value',
      });
    }
  });

  it('refuses identifiers that are none', () => {
    expect(refusalOf(parseConnect, { ...report, CommandUUID: 'a b' })).toMatchObject({
      field: 'CommandUUID',
      reason: 'malformed',
    });
    expect(refusalOf(parseConnect, { ...report, CommandUUID: 'x'.repeat(129) })).toMatchObject({
      field: 'CommandUUID',
      reason: 'malformed',
    });
    expect(refusalOf(parseConnect, { ...report, UDID: 'a/b/c/d/e' })).toMatchObject({
      field: 'UDID',
      reason: 'malformed',
    });
  });

  it('refuses user enrollment by name', () => {
    expect(refusalOf(parseConnect, { EnrollmentID: 'E-1', Status: 'Idle' })).toEqual({
      kind: 'enrollment-id-not-supported',
    });
  });

  readsBytesStrictly(parseConnect, report);
  readsFields(parseConnect, report, [
    { field: 'UDID', required: true, wrong: 5 },
    { field: 'Status', required: true, wrong: 5, empty: '' },
    { field: 'CommandUUID', required: false, wrong: 5 },
    { field: 'ErrorChain', required: false, wrong: 'x' },
  ]);
});

describe('encodeCommand', () => {
  it('writes the command under its identifier', () => {
    const uuid = parseCommandUuid(COMMAND);
    if (!uuid.ok) throw new Error('unreachable');
    const command = { RequestType: 'DeviceInformation', Queries: ['UDID', 'OSVersion'] };
    expect(parsePlist(encodeCommand(uuid.value, command))).toEqual({
      ok: true,
      value: new Map<string, unknown>([
        ['CommandUUID', COMMAND],
        ['Command', new Map<string, unknown>(Object.entries(command))],
      ]),
    });
  });
});
