/** URLs that a payload names: whole, and of the scheme that the device speaks there. */

export function isWebUrl(text: string): boolean {
  return hasScheme(text, ['http:', 'https:']);
}

export function isSecureUrl(text: string): boolean {
  return hasScheme(text, ['https:']);
}

function hasScheme(text: string, schemes: readonly string[]): boolean {
  const url = URL.parse(text);
  return url !== null && schemes.includes(url.protocol) && url.hostname !== '';
}
