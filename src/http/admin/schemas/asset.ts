/** Bodies of `/assets`, one form a type. */
import * as v from 'valibot';
import { ASSET_TYPES } from '../../../domain/declaration/asset-content.ts';
import type { JsonObject } from '../../../protocol/plist/json.ts';

/** A PEM of 12 KiB in DER, as an anchor has. */
const CERTIFICATE_CHARS_MAX = 32 * 1024;
/** Longer than people and password managers make them. */
const WORD_CHARS_MAX = 256;

const word = v.pipe(
  v.string(),
  v.minLength(1, '1 to 256 characters'),
  v.maxLength(WORD_CHARS_MAX, '1 to 256 characters'),
);
/** Kept as it was parsed: the catalog judges its members. */
const document = v.custom<JsonObject>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'an object',
);
const accessible = v.optional(v.picklist(['Default', 'AfterFirstUnlock']));
const credential = { accessible, document, allowUnknown: v.optional(v.boolean(), false) };
/** RFC 9110 §8.3.1: type, subtype, and parameters without quotes. */
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,64}\/[\w!#$&^.+-]{1,64}( *; *[\w.+-]{1,32}=[\w.+-]{1,64}){0,4}$/;
const contentType = v.pipe(v.string(), v.regex(MEDIA_TYPE, 'a media type'));

export const newAsset = v.variant(
  'type',
  [
    v.strictObject({
      type: v.literal(ASSET_TYPES.certificate),
      certificate: v.pipe(v.string(), v.maxLength(CERTIFICATE_CHARS_MAX, 'at most 32768 characters')),
    }),
    v.strictObject({
      type: v.literal(ASSET_TYPES.identity),
      identity: v.string(),
      password: word,
      accessible,
    }),
    v.strictObject({
      type: v.literal(ASSET_TYPES.userPassword),
      userName: word,
      password: v.optional(word),
    }),
    v.strictObject({ type: v.literal(ASSET_TYPES.scep), ...credential }),
    v.strictObject({ type: v.literal(ASSET_TYPES.acme), ...credential }),
    v.strictObject({ type: v.literal(ASSET_TYPES.data), contentType, data: v.string() }),
  ],
  `one of ${Object.values(ASSET_TYPES).join(', ')}; an asset without data, as com.apple.asset.useridentity is, goes to /declarations`,
);
