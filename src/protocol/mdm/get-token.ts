/** Replies to check-ins that ask for a token: property lists that hold it as data (facts 5, step 6). */
import type { Bytes } from '../../std/bytes.ts';
import { encodePlist } from '../plist/encode.ts';

/** Answers GetToken. A token that is text goes as its UTF-8 bytes. */
export function encodeTokenData(token: Bytes): Bytes {
  return encodePlist({ TokenData: token });
}

/** Answers GetBootstrapToken. */
export function encodeBootstrapToken(token: Bytes): Bytes {
  return encodePlist({ BootstrapToken: token });
}
