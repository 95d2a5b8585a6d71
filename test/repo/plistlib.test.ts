/**
 * Python's plistlib as a second opinion: it reads what we write, and wherever we accept a document, XML or binary, it
 * reads the same value. It also is the writer of binary documents that we are not. Where we are stricter is a table.
 */
import { describe, expect, it } from 'vitest';
import { encodePlist } from '../../src/protocol/plist/encode.ts';
import { type JsonValue, plistToJson } from '../../src/protocol/plist/json.ts';
import { parsePlist } from '../../src/protocol/plist/parse.ts';
import type { PlistValue } from '../../src/protocol/plist/value.ts';
import { buildEnrollmentProfile } from '../../src/protocol/profile/enrollment-profile.ts';
import { type Bytes, utf8 } from '../../src/std/bytes.ts';
import { mutate, newSeed, Random, randomValue, writeCarelessly } from '../protocol/plist/generate.ts';
import { missing, readWithPython, runPython } from './plistlib.ts';

/** Rewrites XML documents in binary. */
const CONVERTER = `
import base64, json, plistlib, sys
def convert(document):
    value = plistlib.loads(base64.b64decode(document), fmt=plistlib.FMT_XML)
    return base64.b64encode(plistlib.dumps(value, fmt=plistlib.FMT_BINARY, sort_keys=False)).decode()
json.dump([convert(document) for document in json.load(sys.stdin)], sys.stdout)
`;

function toBinary(documents: readonly Uint8Array[]): Bytes[] {
  return (runPython(CONVERTER, documents) as string[]).map(
    (text) => new Uint8Array(Buffer.from(text, 'base64')),
  );
}

const readHere = (bytes: Uint8Array<ArrayBuffer>): [JsonValue] | null => {
  const parsed = parsePlist(bytes);
  return parsed.ok ? [plistToJson(parsed.value)] : null;
};

const plist = (inner: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0">${inner}</plist>`;

const both: readonly (readonly [string, string])[] = [
  ['references and CDATA', plist('<string>&#65;&amp;<![CDATA[<&]]>&#x1F600;</string>')],
  ['comments inside text', plist('<string>a<!-- b -->c</string>')],
  ['line ends', plist('<string>a\r\nb\rc&#13;d</string>')],
  ['a byte order mark', `\ufeff${plist('<true/>')}`],
  [
    'large integers',
    plist('<array><integer>18446744073709551615</integer><integer>-9223372036854775808</integer></array>'),
  ],
  ['data in lines', plist('<data>\n\tAQID\n\tBA==\n</data>')],
  ['empty containers', plist('<array><dict/><array></array><string/><data/></array>')],
  ['dates', plist('<date>2026-01-31T12:00:05Z</date>')],
  ['hexadecimal integers', plist('<array><integer>0x10</integer><integer>0Xff</integer></array>')],
];
const neither: readonly (readonly [string, string])[] = [
  [
    'an internal subset with an entity',
    '<!DOCTYPE plist [<!ENTITY a "b">]><plist><string>&a;</string></plist>',
  ],
  ['an undefined entity', plist('<string>&nbsp;</string>')],
  ['a NUL reference', plist('<string>&#0;</string>')],
  ['a key without value', plist('<dict><key>a</key></dict>')],
  ['a value without key', plist('<dict><true/></dict>')],
  ['a mismatched end tag', plist('<string>a</integer>')],
  ['two documents', `${plist('<true/>')}${plist('<true/>')}`],
  ['bytes after the document', `${plist('<true/>')}x`],
  ['an integer that is none', plist('<integer>12abc</integer>')],
  ['an empty integer', plist('<integer/>')],
  ['a month past December', plist('<date>2026-13-01T00:00:00Z</date>')],
  ['a February of 30 days', plist('<date>2026-02-30T00:00:00Z</date>')],
];
const stricterHere: readonly (readonly [string, string])[] = [
  ['duplicate keys', plist('<dict><key>a</key><true/><key>a</key><false/></dict>')],
  ['a value without plist', '<true/>'],
  ['white space around an integer', plist('<integer> 5 </integer>')],
  ['a real that is no number', plist('<real>nan</real>')],
  ['attributes', plist('<string lang="en">a</string>')],
  ['processing instructions', plist('<?x y?><true/>')],
  ['two values', plist('<true/><false/>')],
];

describe.skipIf(missing)('python plistlib', () => {
  it('reads what we write', () => {
    const seed = newSeed();
    const random = new Random(seed);
    const values = Array.from({ length: 2000 }, () => randomValue(random));
    const read = readWithPython(values.map((value) => encodePlist(value)));
    expect(read, `seed ${seed}`).toEqual(values.map((value) => [plistToJson(value)]));
  });

  it('reads the enrollment profile', () => {
    const profile = buildEnrollmentProfile({
      platform: 'watchOS',
      organization: 'Ärzte & Co',
      topic: 'com.apple.mgmt.External.1',
      serverUrl: 'https://mdm.example/mdm/connect',
      checkInUrl: 'https://mdm.example/mdm/checkin',
      scep: { url: 'https://mdm.example/scep?a=1&b=2', challenge: '<one-time>', subject: { udid: 'W-1' } },
      caCertificateDer: new Uint8Array([0x30, 0]),
      uuids: { profile: 'P', ca: 'C', scep: 'S', mdm: 'M' },
    });
    const [read] = readWithPython([profile]);
    expect(read).toEqual(readHere(profile));
    expect(read?.[0]).toMatchObject({
      PayloadType: 'Configuration',
      PayloadOrganization: 'Ärzte & Co',
      TargetDeviceType: 2,
    });
  });

  it('reads every spelling of a document as we do', () => {
    const seed = newSeed();
    const random = new Random(seed);
    const documents = Array.from({ length: 1000 }, () => utf8(writeCarelessly(random, randomValue(random))));
    expect(readWithPython(documents), `seed ${seed}`).toEqual(documents.map(readHere));
  });

  it('reads whatever mutation we accept, and reads it the same', () => {
    const seed = newSeed();
    const random = new Random(seed);
    const mutations = Array.from({ length: 4000 }, () =>
      utf8(mutate(random, writeCarelessly(random, randomValue(random)))),
    );
    const accepted = mutations.filter((bytes) => readHere(bytes) !== null);
    expect(accepted.length).toBeGreaterThan(100);
    expect(readWithPython(accepted), `seed ${seed}`).toEqual(accepted.map(readHere));
  });

  it('writes in binary what we read as the XML of the same value', () => {
    const seed = newSeed();
    const random = new Random(seed);
    const long: PlistValue[] = [
      Array.from({ length: 9000 }, (_, at) => at),
      new Map(Array.from({ length: 300 }, (_, at) => [`key ${at}`, 'é'.repeat(at)])),
    ];
    const values = [...long, ...Array.from({ length: 5000 }, () => randomValue(random))];
    const documents = values.map((value) => encodePlist(value));
    toBinary(documents).forEach((binary, index) => {
      const context = `seed ${seed}, document ${index}: ${Buffer.from(binary).toString('hex')}`;
      expect(parsePlist(binary), context).toEqual({ ok: true, value: values[index] });
      expect(parsePlist(documents[index] as Bytes), context).toEqual(parsePlist(binary));
    });
  });

  it('reads whatever mutation we accept in binary, and reads it the same', () => {
    const seed = newSeed();
    const random = new Random(seed);
    const values = Array.from({ length: 3000 }, () => randomValue(random));
    const mutations = toBinary(values.map((value) => encodePlist(value))).map((bytes) => {
      for (let edits = 1 + random.below(3); edits > 0; edits--) {
        bytes[8 + random.below(bytes.length - 8)] = random.pick([0, 1, 0xff, random.below(256)]);
      }
      return bytes;
    });
    // Python's calendar begins with the year 1.
    const accepted = mutations.filter((bytes) => !/^null$|"0000-/.test(JSON.stringify(readHere(bytes))));
    expect(accepted.length, `seed ${seed}`).toBeGreaterThan(300);
    readWithPython(accepted).forEach((read, index) => {
      const bytes = accepted[index] as Bytes;
      const context = `seed ${seed}: ${Buffer.from(bytes).toString('hex')}`;
      expect(read, context).toEqual(readHere(bytes));
    });
  });

  it('agrees with us on what may be written', () => {
    const read = readWithPython(both.map(([, text]) => utf8(text)));
    both.forEach(([name, text], index) => {
      expect(readHere(utf8(text)), name).not.toBeNull();
      expect(readHere(utf8(text)), name).toEqual(read[index]);
    });
  });

  it('refuses with us what is malformed', () => {
    const read = readWithPython(neither.map(([, text]) => utf8(text)));
    neither.forEach(([name, text], index) => {
      expect([readHere(utf8(text)), read[index]], name).toEqual([null, null]);
    });
  });

  it('reads some of what we refuse', () => {
    const read = readWithPython(stricterHere.map(([, text]) => utf8(text)));
    stricterHere.forEach(([name, text], index) => {
      expect(readHere(utf8(text)), name).toBeNull();
      expect(read[index], name).not.toBeNull();
    });
  });
});
