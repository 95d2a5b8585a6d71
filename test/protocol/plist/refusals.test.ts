/** Each way a document is refused, by its reason; and that no cut, no trailing byte and no odd view gets past. */
import { describe, expect, it } from 'vitest';
import { parsePlist, parsePlistDict } from '../../../src/protocol/plist/parse.ts';
import { type Bytes, concatBytes, utf8 } from '../../../src/std/bytes.ts';

const plist = (inner: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<plist version="1.0">${inner}</plist>`;
const dict = (inner: string) => plist(`<dict>${inner}</dict>`);

function refusal(input: string | Bytes) {
  const parsed = parsePlist(typeof input === 'string' ? utf8(input) : input);
  return parsed.ok ? null : parsed.refusal;
}

const LAUGHS = `<!DOCTYPE plist [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><plist><string>&c;</string></plist>`;
const XXE = '<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]><plist><string>&x;</string></plist>';
const NO_ELEMENT = 'not an element of a property list';
const SUBSET = 'malformed DOCTYPE, or one with an internal subset';

const hostile: readonly (readonly [string, string, string])[] = [
  ['an entity that expands and expands', LAUGHS, SUBSET],
  ['an external entity', XXE, SUBSET],
  ['an internal subset that declares nothing', '<!DOCTYPE plist []><plist><true/></plist>', SUBSET],
  [
    'a parameter entity',
    '<!DOCTYPE plist [<!ENTITY % x SYSTEM "http://x/"> %x;]><plist><true/></plist>',
    SUBSET,
  ],
  ['a DOCTYPE of something else', '<!DOCTYPE html><plist><true/></plist>', SUBSET],
  [
    'a public identifier with markup',
    '<!DOCTYPE plist PUBLIC "-//A&amp;B" "x"><plist><true/></plist>',
    SUBSET,
  ],
  ['a public identifier alone', '<!DOCTYPE plist PUBLIC "-//A"><plist><true/></plist>', SUBSET],
  ['two DOCTYPEs', '<!DOCTYPE plist><!DOCTYPE plist><plist><true/></plist>', SUBSET],
  ['an undefined entity', plist('<string>&nbsp;</string>'), 'undefined reference'],
  [
    'an entity named as a property of objects',
    plist('<string>&constructor;</string>'),
    'undefined reference',
  ],
  ['a bare ampersand', plist('<string>a & b</string>'), 'undefined reference'],
  ['an unterminated reference', plist('<string>&#65</string>'), 'undefined reference'],
  ['a reference to NUL', plist('<string>&#0;</string>'), 'undefined reference'],
  ['a reference to a control character', plist('<string>&#x8;</string>'), 'undefined reference'],
  ['a reference to half of a surrogate pair', plist('<string>&#xD800;</string>'), 'undefined reference'],
  ['a reference past Unicode', plist('<string>&#x110000;</string>'), 'undefined reference'],
  ['a reference without digits', plist('<string>&#;&#x;</string>'), 'undefined reference'],
  ['a reference with a capital X', plist('<string>&#X41;</string>'), 'undefined reference'],
  ['a reference of many digits', plist(`<string>&#${'0'.repeat(40)}65;</string>`), 'undefined reference'],
  ['a NUL', plist('<string>a\0b</string>'), 'not a character of XML'],
  ['a control character', plist('<string>\x1b[2J</string>'), 'not a character of XML'],
  ['U+FFFE', plist('<string>\ufffe</string>'), 'not a character of XML'],
  ['a duplicate key', dict('<key>a</key><true/><key>a</key><false/>'), 'duplicate key'],
  [
    'a duplicate key in another spelling',
    dict('<key>a</key><true/><key>&#97;</key><false/>'),
    'duplicate key',
  ],
  ['a key without value', dict('<key>a</key>'), NO_ELEMENT],
  ['two keys in a row', dict('<key>a</key><key>b</key><true/>'), NO_ELEMENT],
  ['a value without key', dict('<true/>'), 'expected a key'],
  ['text in a dictionary', dict('x<key>a</key><true/>'), 'expected a key'],
  ['text in an array', plist('<array>x</array>'), NO_ELEMENT],
  ['a key outside a dictionary', plist('<key>a</key>'), NO_ELEMENT],
  ['an unknown element', plist('<blob>AA==</blob>'), NO_ELEMENT],
  ['an element in capitals', plist('<String>a</String>'), NO_ELEMENT],
  ['a longer name', plist('<strings>a</strings>'), 'malformed tag'],
  ['an element in a string', plist('<string><b>x</b></string>'), 'mismatched end tag'],
  ['an attribute', plist('<string lang="en">a</string>'), 'malformed tag'],
  ['an unknown attribute of plist', '<plist xmlns="x"><true/></plist>', 'expected the plist element'],
  ['an end tag of another element', plist('<string>a</integer>'), 'mismatched end tag'],
  ['an unclosed element', '<plist><string>a', 'unclosed element'],
  ['an unclosed dictionary', '<plist><dict><key>a</key><true/></plist>', 'expected a key'],
  ['an unclosed comment', plist('<!-- x'), 'malformed comment'],
  ['a comment with two hyphens', plist('<!-- a -- b --><true/>'), 'malformed comment'],
  ['an unclosed CDATA section', plist('<string><![CDATA[x</string>'), 'unclosed CDATA section'],
  ['the end of a CDATA section without one', plist('<string>a]]>b</string>'), 'CDATA end mark in text'],
  ['CDATA between elements', plist('<![CDATA[ ]]><true/>'), NO_ELEMENT],
  [
    'a processing instruction',
    `<?xml version="1.0"?><?x y?>${'<plist><true/></plist>'}`,
    'processing instruction',
  ],
  [
    'a declaration that is not first',
    ' <?xml version="1.0"?><plist><true/></plist>',
    'processing instruction',
  ],
  [
    'another encoding',
    '<?xml version="1.0" encoding="ISO-8859-1"?><plist><true/></plist>',
    'processing instruction',
  ],
  ['nothing', '', 'expected the plist element'],
  ['a value without plist', '<dict/>', 'expected the plist element'],
  ['an empty plist', plist(''), NO_ELEMENT],
  ['a plist closed at once', '<plist/>', 'expected the plist element'],
  ['two values', plist('<true/><false/>'), 'more than one value in plist'],
  ['two documents', `${plist('<true/>')}<plist><true/></plist>`, 'bytes after the document'],
  ['bytes after the document', `${plist('<true/>')}x`, 'bytes after the document'],
  ['JSON', '{"MessageType":"Authenticate"}', 'expected the plist element'],
  ['content in a boolean', plist('<true>1</true>'), 'a boolean holds nothing'],
];

const leaves: readonly (readonly [string, readonly string[]])[] = [
  [
    'integer',
    [
      '',
      'x',
      '12abc',
      '-0x10',
      '0x',
      '0x1g',
      '0x10000000000000000',
      '1.0',
      '1e3',
      ' 1',
      '1 ',
      '--1',
      '+-1',
      '+',
      '１',
      '18446744073709551616',
      '-9223372036854775809',
      '1'.repeat(400),
    ],
  ],
  [
    'real',
    ['', 'x', 'nan', 'inf', '-infinity', '1,5', '0x1p3', '1e', '.', 'e5', ' 1.0', '1e999', '1'.repeat(65)],
  ],
  [
    'date',
    [
      '',
      '-0001-01-01T00:00:00Z',
      '0000-02-30T00:00:00Z',
      '2026-02-30T00:00:00Z',
      '2026-13-01T00:00:00Z',
      '2026-01-31',
      '2026-01-31T12:00:00',
      '2026-01-31T12:00:00.5Z',
      '2026-01-31T12:00:00+01:00',
      '2026-01-31 12:00:00Z',
      '2026-01-31T24:00:00Z',
      '2026-06-30T23:59:60Z',
      '+12026-01-01T00:00:00Z',
    ],
  ],
  [
    'data',
    ['A', 'AA', 'AA=', 'AAA', 'AB==', 'A===', '====', 'AA==AA==', 'AA-_', 'AA.A', 'AAAA=', '=AAA', 'é'],
  ],
];

describe('parsePlist refuses', () => {
  it.each(hostile)('%s', (_name, text, reason) => {
    expect(refusal(text)?.reason).toBe(reason);
  });

  it.each(leaves.flatMap(([name, texts]) => texts.map((text) => [name, text] as const)))(
    '<%s>%s',
    (name, text) => {
      expect(refusal(plist(`<${name}>${text}</${name}>`))?.reason).toBe(`malformed ${name}`);
    },
  );

  it.each(['integer', 'real', 'date'])('an empty <%s/>', (name) => {
    expect(refusal(plist(`<${name}/>`))?.reason).toBe(`malformed ${name}`);
  });

  it('bytes that are not UTF-8', () => {
    expect(
      refusal(concatBytes(utf8('<plist><string>'), new Uint8Array([0xc3]), utf8('</string></plist>')))
        ?.reason,
    ).toBe('not UTF-8');
    expect(refusal(new Uint8Array([0xff, 0xfe, 0x3c, 0x00]))?.reason).toBe('not UTF-8');
    // An overlong slash, and a surrogate half as UTF-8 would have it.
    expect(refusal(new Uint8Array([0xc0, 0xaf]))?.reason).toBe('not UTF-8');
    expect(refusal(new Uint8Array([0xed, 0xa0, 0x80]))?.reason).toBe('not UTF-8');
  });

  it('a second byte order mark', () => {
    expect(refusal(`\ufeff\ufeff${plist('<true/>')}`)?.reason).toBe('expected the plist element');
  });

  it('the document cut at every byte', () => {
    const whole = utf8(
      '\ufeff<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE plist SYSTEM "x"><!-- é --><plist version="1.0"><dict ><key>ä&amp;</key><array><string>😀<![CDATA[x]]></string><data>AAAA</data><true/><integer>12</integer></array><key>b</key><date>2026-01-31T12:00:00Z</date></dict></plist>',
    );
    expect(refusal(whole)).toBeNull();
    for (let length = 0; length < whole.length; length++) {
      expect(refusal(whole.slice(0, length)), `cut at ${length}`).not.toBeNull();
      expect(refusal(whole.subarray(0, length)), `view cut at ${length}`).not.toBeNull();
    }
  });

  it('any byte after the document but white space and comments', () => {
    const whole = utf8(plist('<true/>'));
    for (let byte = 0; byte < 256; byte++) {
      const accepted = refusal(concatBytes(whole, new Uint8Array([byte]))) === null;
      expect(accepted, `byte ${byte}`).toBe([0x09, 0x0a, 0x0d, 0x20].includes(byte));
    }
  });

  it('a value that is no dictionary where a dictionary is asked for', () => {
    const parsed = parsePlistDict(utf8(plist('<array/>')));
    expect(parsed).toEqual({
      ok: false,
      refusal: { kind: 'malformed-plist', reason: 'not a dictionary', offset: 0 },
    });
  });
});

describe('parsePlist', () => {
  it('tells the offset in bytes', () => {
    const text = '\ufeff<plist><array><string>é😀</string><blob/></array></plist>';
    const at = utf8(text.slice(0, text.indexOf('<blob'))).length;
    expect(refusal(text)).toEqual({ kind: 'malformed-plist', reason: NO_ELEMENT, offset: at });
  });

  it('reads a view with an offset and nothing around it', () => {
    const whole = utf8(plist('<string>é</string>'));
    const around = concatBytes(utf8('<x>bplist00'), whole, utf8('trailing'));
    const parsed = parsePlist(around.subarray(11, 11 + whole.length));
    expect(parsed).toEqual({ ok: true, value: 'é' });
  });

  it('reads 32 levels and refuses the 33rd', () => {
    const nested = (depth: number) => plist(`${'<array>'.repeat(depth)}${'</array>'.repeat(depth)}`);
    expect(refusal(nested(32))).toBeNull();
    expect(refusal(nested(33))?.reason).toBe('nested too deeply');
    expect(refusal(nested(200_000))?.reason).toBe('nested too deeply');
    expect(refusal(plist(`${'<dict><key>a</key>'.repeat(33)}<true/>${'</dict>'.repeat(33)}`))?.reason).toBe(
      'nested too deeply',
    );
    expect(refusal(plist(`${'<array>'.repeat(32)}<dict/>${'</array>'.repeat(32)}`))?.reason).toBe(
      'nested too deeply',
    );
  });

  it('reads 20,000 values and refuses one more', () => {
    const array = (count: number) => plist(`<array>${'<true/>'.repeat(count)}</array>`);
    expect(refusal(array(19_999))).toBeNull();
    expect(refusal(array(20_000))?.reason).toBe('too many values');
  });

  it('takes other limits', () => {
    const bytes = utf8(plist('<array><array/></array>'));
    expect(parsePlist(bytes, { depthMax: 1, nodesMax: 10 }).ok).toBe(false);
    expect(parsePlist(bytes, { depthMax: 2, nodesMax: 1 }).ok).toBe(false);
    expect(parsePlist(bytes, { depthMax: 2, nodesMax: 2 }).ok).toBe(true);
  });

  it('stays linear on a megabyte of anything', () => {
    const fill = (unit: string) => unit.repeat(Math.ceil(2 ** 20 / unit.length));
    for (const unit of [
      ' ',
      '<',
      '&',
      '&amp;',
      '<!--',
      '<!-- -->',
      ']]>',
      '<![CDATA[',
      '<dict><key>',
      '<plist ',
      '\r\n',
      '-',
      '"',
    ]) {
      expect(refusal(fill(unit)), unit).not.toBeNull();
      expect(refusal(`<!DOCTYPE plist${fill(unit)}`), unit).not.toBeNull();
      expect(refusal(`<plist><string>${fill(unit)}`), unit).not.toBeNull();
    }
  });
});
