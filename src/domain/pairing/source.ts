/**
 * Where requests come from, as limits count it. A source is one IPv4 address, or the /64 of IPv6 that a host has to
 * itself (RFC 6177); `http/enroll/source.ts` writes both. Its network is what somebody gets for the asking: the same
 * IPv4 address, but a /48, which holds 65,536 sources.
 */

/** `2001:db8:1:2::/64` is in `2001:db8:1::/48`; anything else is its own network. */
export function networkOf(source: string): string {
  const match = /^((?:[0-9a-f]{1,4}:){2}[0-9a-f]{1,4}):[0-9a-f]{1,4}::\/64$/.exec(source);
  return match === null ? source : `${match[1]}::/48`;
}
