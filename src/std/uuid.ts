/** UUIDs made from names (RFC 9562 §5.8, version 8): what they are hashed from, the caller decides. */

/** Of a SHA-256 in hex: its first 122 bits, upper case. */
export function uuidOfDigest(sha256Hex: string): string {
  const hex = sha256Hex.toUpperCase();
  const variant = '89AB'[Number.parseInt(hex.charAt(16), 16) & 3];
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `${variant}${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
