/**
 * What an administrator uploads as an asset, checked, and the bytes that devices download in its place (facts 4.3 and
 * 15, "Asset data formats"): a certificate as DER, credentials as JSON, data as it is. Nothing here says in a refusal
 * what was in the upload.
 */
import { type ContentProblem, type InvalidContent, validate } from '../../protocol/catalog/validate.ts';
import { canonicalJson } from '../../protocol/ddm/canonical-json.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import { type Bytes, fromBase64, toBase64, utf8 } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import { readCertificateText, readIdentity } from '../profile/certificate-content.ts';
import { acmeProblems, scepProblems } from '../profile/certificate-request.ts';

/** Sealed it has 29 octets more: half of the 2 MB that D1 keeps in a row. */
export const UPLOAD_BYTES_MAX = 1024 * 1024;

export const ASSET_TYPES = {
  certificate: 'com.apple.asset.credential.certificate',
  identity: 'com.apple.asset.credential.identity',
  userPassword: 'com.apple.asset.credential.userpassword',
  scep: 'com.apple.asset.credential.scep',
  acme: 'com.apple.asset.credential.acme',
  data: 'com.apple.asset.data',
} as const;

export type Accessible = 'Default' | 'AfterFirstUnlock';

interface Credential {
  readonly accessible?: Accessible | undefined;
}

export type AssetInput =
  /** PEM, or DER in base64. */
  | { readonly type: typeof ASSET_TYPES.certificate; readonly certificate: string }
  /** A PKCS#12 file in base64, and the password that opens it. */
  | (Credential & {
      readonly type: typeof ASSET_TYPES.identity;
      readonly identity: string;
      readonly password: string;
    })
  | {
      readonly type: typeof ASSET_TYPES.userPassword;
      readonly userName: string;
      readonly password?: string | undefined;
    }
  | (Credential & {
      readonly type: typeof ASSET_TYPES.scep | typeof ASSET_TYPES.acme;
      readonly document: JsonObject;
      readonly allowUnknown: boolean;
    })
  | { readonly type: typeof ASSET_TYPES.data; readonly contentType: string; readonly data: string };

export interface AssetContent {
  readonly contentType: string;
  readonly data: Bytes;
  readonly accessible: Accessible | null;
}

export type UploadTooLarge = { readonly kind: 'upload-too-large'; readonly bytesMax: number };

export type AssetRefusal =
  | InvalidContent
  | UploadTooLarge
  /** `path` is the JSON pointer of the member at fault. */
  | { readonly kind: 'unreadable-upload'; readonly path: string; readonly reason: string };

export async function readAsset(input: AssetInput): Promise<Outcome<AssetContent, AssetRefusal>> {
  const content = await contentOf(input);
  if (content.ok && content.value.data.length > UPLOAD_BYTES_MAX)
    return refuse({ kind: 'upload-too-large', bytesMax: UPLOAD_BYTES_MAX });
  return content;
}

async function contentOf(input: AssetInput): Promise<Outcome<AssetContent, AssetRefusal>> {
  switch (input.type) {
    case ASSET_TYPES.certificate:
      return certificate(input.certificate);
    case ASSET_TYPES.identity:
      return identity(input);
    case ASSET_TYPES.userPassword: {
      const { userName: UserName, password: Password } = input;
      return ok(json(Password === undefined ? { UserName } : { UserName, Password }));
    }
    case ASSET_TYPES.scep:
    case ASSET_TYPES.acme:
      return credential(input);
    case ASSET_TYPES.data: {
      const data = fromBase64(input.data);
      if (data === null) return unreadable('/data', 'base64');
      return ok({ contentType: input.contentType, data, accessible: null });
    }
    default:
      return input satisfies never;
  }
}

function certificate(text: string): Outcome<AssetContent, AssetRefusal> {
  const read = readCertificateText(text);
  if (!read.ok) return unreadable('/certificate', read.refusal.expected);
  return ok({ contentType: 'application/pkcs1', data: read.value.der, accessible: null });
}

async function identity(
  input: Extract<AssetInput, { type: typeof ASSET_TYPES.identity }>,
): Promise<Outcome<AssetContent, AssetRefusal>> {
  const file = fromBase64(input.identity);
  if (file === null) return unreadable('/identity', 'base64');
  // As base64 it would be over the limit; it is not read for that.
  if (file.length > UPLOAD_BYTES_MAX) return refuse({ kind: 'upload-too-large', bytesMax: UPLOAD_BYTES_MAX });
  const read = await readIdentity(file, input.password);
  if (read.ok) return ok(json({ Password: input.password, Identity: toBase64(file) }, input.accessible));
  const { part, expected } = read.refusal;
  return unreadable(part === 'password' ? '/password' : '/identity', expected);
}

async function credential(
  input: Extract<AssetInput, { document: JsonObject }>,
): Promise<Outcome<AssetContent, AssetRefusal>> {
  const isScep = input.type === ASSET_TYPES.scep;
  const format = isScep ? 'com.apple.credential.scep' : 'com.apple.credential.acme';
  const { document, allowUnknown } = input;
  const valid = await validate('credential', format, document, undefined, { allowUnknown });
  const spanning = () => (isScep ? scepProblems(document) : acmeProblems(document));
  const problems = valid.ok ? spanning() : valid.refusal.problems;
  if (problems.length === 0) return ok(json(document, input.accessible));
  return refuse({ kind: 'invalid-content', problems: problems.map(inDocument) });
}

function inDocument(problem: ContentProblem): ContentProblem {
  return { ...problem, path: `document.${problem.path}` };
}

/** In canonical form, so that the same document is the same data. */
function json(document: JsonObject, accessible?: Accessible): AssetContent {
  const data = utf8(canonicalJson(document));
  return { contentType: 'application/json', data, accessible: accessible ?? null };
}

function unreadable(path: string, reason: string) {
  return refuse<AssetRefusal>({ kind: 'unreadable-upload', path, reason });
}
