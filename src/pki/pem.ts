/**
 * PEM (RFC 7468): bundles of one label, as configuration and administrators hold them. Text between blocks is
 * passed over; a block whose base64 is damaged is left out, so compare counts where that matters.
 */
import { type Bytes, fromBase64, toBase64 } from '../std/bytes.ts';

/** The contents of every block with this label, in order: `parsePem(text, 'CERTIFICATE')`. */
export function parsePem(text: string, label: string): Bytes[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Bytes[] = [];
  let at = text.indexOf(begin);
  while (at !== -1) {
    const close = text.indexOf(end, at);
    if (close === -1) break;
    const bytes = fromBase64(text.slice(at + begin.length, close));
    if (bytes !== null && bytes.length > 0) blocks.push(bytes);
    at = text.indexOf(begin, close + end.length);
  }
  return blocks;
}

/** One block, in lines of 64 characters, ending with a newline. */
export function toPem(label: string, der: Bytes): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
