/** The scanner against a table of documents: each of the forms that are allowed, and each way to be refused. */
import { describe, expect, it } from 'vitest';
import { parsePlist } from '../../../src/protocol/plist/parse.ts';
import { utf8 } from '../../../src/std/bytes.ts';

const HEAD =
  '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n';
const plist = (inner: string) => `${HEAD}<plist version="1.0">${inner}</plist>\n`;
const dict = (inner: string) => plist(`<dict>${inner}</dict>`);

function read(text: string): unknown {
  const parsed = parsePlist(utf8(text));
  return parsed.ok ? parsed.value : parsed.refusal.reason;
}

describe('parsePlist reads', () => {
  const cases: readonly (readonly [string, string, unknown])[] = [
    [
      'a dictionary in its order',
      dict('<key>b</key><string>1</string>\n\t<key>a</key><true/>'),
      new Map<string, unknown>([
        ['b', '1'],
        ['a', true],
      ]),
    ],
    ['a document without declaration and DOCTYPE', '<plist><string>x</string></plist>', 'x'],
    ['the five entities', plist('<string>&lt;&gt;&amp;&quot;&apos;</string>'), '<>&"\''],
    ['decimal and hexadecimal references', plist('<string>&#65;&#x42;&#39;&#x1F600;</string>'), "AB'😀"],
    ['CDATA without looking inside', plist('<string>a<![CDATA[<b>&amp;]]>c</string>'), 'a<b>&amp;c'],
    ['around comments', plist('<!-- a --><string>x<!-- b -->y</string><!-- c -->'), 'xy'],
    [
      'white space inside tags',
      '<plist version = "1.0" ><dict ><key >a</key ><string >x</string\n></dict\t></plist >',
      new Map([['a', 'x']]),
    ],
    ['white space of a string as it is', plist('<string>  a \n b </string>'), '  a \n b '],
    ['CR LF as LF and a referenced CR as CR', plist('<string>a\r\nb\rc&#13;d</string>'), 'a\nb\nc\rd'],
    [
      'empty elements',
      plist('<array><string/><string></string><data/><dict/><array/></array>'),
      ['', '', new Uint8Array(0), new Map(), []],
    ],
    ['an empty key', dict('<key/><string>x</string>'), new Map([['', 'x']])],
    ['booleans in both forms', plist('<array><true/><false></false></array>'), [true, false]],
    [
      'integers with sign and leading zeros',
      plist('<array><integer>+7</integer><integer>-0</integer><integer>007</integer></array>'),
      [7, 0, 7],
    ],
    [
      'safe integers as numbers',
      plist('<array><integer>9007199254740991</integer><integer>-9007199254740991</integer></array>'),
      [9007199254740991, -9007199254740991],
    ],
    [
      'larger ones as bigints',
      plist(
        '<array><integer>9007199254740992</integer><integer>18446744073709551615</integer><integer>-9223372036854775808</integer></array>',
      ),
      [9007199254740992n, 18446744073709551615n, -9223372036854775808n],
    ],
    [
      'reals',
      plist('<array><real>1.5</real><real>-.5e3</real><real>2.</real><real>3</real></array>'),
      [1.5, -500, 2, 3],
    ],
    ['dates', plist('<date>2026-01-31T12:00:05Z</date>'), new Date('2026-01-31T12:00:05Z')],
    [
      'hexadecimal integers',
      plist('<array><integer>0x10</integer><integer>0XfFfFfFfFfFfFfFfF</integer></array>'),
      [16, 2n ** 64n - 1n],
    ],
    ['the year 1', plist('<date>0001-01-01T00:00:00Z</date>'), new Date('0001-01-01T00:00:00Z')],
    ['the distant past', plist('<date>0000-12-30T00:00:00Z</date>'), new Date('0000-12-30T00:00:00Z')],
    ['data in lines', plist('<data>\n\tAQID\n\tBA==\n\t</data>'), new Uint8Array([1, 2, 3, 4])],
    [
      'the key __proto__ as any other',
      dict('<key>__proto__</key><string>x</string>'),
      new Map([['__proto__', 'x']]),
    ],
    ['text outside the basic plane', plist('<string>näïve 😀</string>'), 'näïve 😀'],
    [
      'a system DOCTYPE',
      '<!DOCTYPE plist SYSTEM "file://localhost/PropertyList.dtd"><plist><true/></plist>',
      true,
    ],
    [
      'single quotes and standalone',
      "<?xml version='1.0' encoding='utf-8' standalone='yes'?><plist version='1.0'><true/></plist>",
      true,
    ],
  ];
  it.each(cases)('%s', (_name, text, value) => {
    expect(read(text)).toEqual(value);
  });

  it('a byte order mark', () => {
    expect(read(`\ufeff${plist('<true/>')}`)).toBe(true);
  });
});
