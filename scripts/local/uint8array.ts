/**
 * What the Worker's own modules take from its runtime and Node 22 has not: hexadecimal and base64 of byte arrays
 * (TC39 Uint8Array Base64). Imported first by whatever runs those modules here; where they exist nothing is changed.
 */
interface Alphabet {
  readonly alphabet?: 'base64' | 'base64url';
  readonly omitPadding?: boolean;
}

const encoding = ({ alphabet }: Alphabet = {}) => alphabet ?? 'base64';
const copy = (buffer: Buffer) => new Uint8Array(buffer);

const methods: Readonly<Record<string, (this: Uint8Array, options?: Alphabet) => string>> = {
  toHex() {
    return Buffer.from(this).toString('hex');
  },
  toBase64(options) {
    const text = Buffer.from(this).toString(encoding(options));
    const padding = encoding(options) === 'base64url' ? '='.repeat((4 - (text.length % 4)) % 4) : '';
    return options?.omitPadding ? text.replace(/=+$/, '') : text + padding;
  },
};
const statics: Readonly<Record<string, (text: string, options?: Alphabet) => Uint8Array>> = {
  fromHex(text) {
    if (!/^(?:[0-9a-f]{2})*$/i.test(text)) throw new SyntaxError('not hexadecimal');
    return copy(Buffer.from(text, 'hex'));
  },
  fromBase64(text, options) {
    const plain = text.replace(/[\t\n\f\r ]/g, '');
    const letters = encoding(options) === 'base64url' ? /^[\w-]*={0,2}$/ : /^[A-Za-z0-9+/]*={0,2}$/;
    if (!letters.test(plain) || plain.replace(/=+$/, '').length % 4 === 1)
      throw new SyntaxError('not base64');
    return copy(Buffer.from(plain, encoding(options)));
  },
};

for (const [target, added] of [
  [Uint8Array.prototype, methods],
  [Uint8Array, statics],
] as const) {
  for (const [name, value] of Object.entries(added)) {
    if (name in target) continue;
    Object.defineProperty(target, name, { value, writable: true, configurable: true });
  }
}
