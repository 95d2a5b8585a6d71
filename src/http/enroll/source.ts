/**
 * The address that a request came from, as limits count it. Cloudflare sets `CF-Connecting-IP` and overwrites what
 * a client sent; without it (local) everyone is one source. A host has a /64 of IPv6 to itself (RFC 6177), so
 * that prefix is one source: otherwise every request could come from an address never seen before. What is counted
 * by /48 is `domain/pairing/source.ts`.
 */

export function sourceAddress(headers: Headers): string {
  const address = headers.get('CF-Connecting-IP')?.trim().toLowerCase() ?? '';
  // The longest textual form of an IPv6 address has 45 characters.
  if (address === '' || address.length > 45) return 'local';
  return address.includes(':') ? prefix64(address) : address;
}

/** The first four groups; `::` stands for as many zero groups as are missing (RFC 4291 §2.2). */
function prefix64(address: string): string {
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  // An embedded IPv4 address stands for two groups.
  const width = left.length + right.length + (address.includes('.') ? 1 : 0);
  const zeros: string[] = tail === undefined ? [] : Array(Math.max(0, 8 - width)).fill('0');
  const groups = [...left, ...zeros, ...right].slice(0, 4);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
