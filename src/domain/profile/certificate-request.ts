/**
 * Rules of SCEP and ACME (facts 6) that span keys, the same in a payload and in an asset's credential: both hold one
 * dictionary of the same keys. What is wrong is returned, with paths that begin in that dictionary.
 */
import type { ContentProblem } from '../../protocol/catalog/validate.ts';
import type { JsonObject } from '../../protocol/plist/json.ts';
import { listOf, numberOf, textOf } from './keys.ts';
import { isSecureUrl, isWebUrl } from './url.ts';

export interface RequestProblem {
  readonly path: string;
  readonly rule: Extract<ContentProblem['rule'], 'values' | 'range' | 'format'>;
  readonly expected: string;
}

const EC_SIZES = [192, 256, 384, 521];
const HARDWARE_SIZES = [256, 384];
const RSA_BITS_MIN = 1024;
const RSA_BITS_MAX = 4096;
/** 1 signs, 4 encrypts; 0 is SCEP's default. */
const USAGES = [0, 1, 4, 5];
const OID = /^[0-2](?:\.\d{1,20}){1,30}$/;
/** `CN`, `O`, `emailAddress`. */
const SHORT_NAME = /^[A-Za-z]{1,32}$/;

export function scepProblems(request: JsonObject): RequestProblem[] {
  const problems = [...usageProblems(request, 'Key Usage'), ...subjectProblems(request)];
  if (!isWebUrl(textOf(request, 'URL') ?? ''))
    problems.push({ path: 'URL', rule: 'format', expected: 'an http or https URL' });
  if ((textOf(request, 'Key Type') ?? 'RSA') !== 'RSA')
    problems.push({ path: 'Key Type', rule: 'values', expected: 'RSA' });
  for (const name of ['Retries', 'RetryDelay']) {
    if ((numberOf(request, name) ?? 0) < 0)
      problems.push({ path: name, rule: 'range', expected: 'at least 0' });
  }
  return problems;
}

export function acmeProblems(request: JsonObject): RequestProblem[] {
  const problems = [
    ...keyProblems(request),
    ...usageProblems(request, 'UsageFlags'),
    ...subjectProblems(request),
  ];
  if (!isSecureUrl(textOf(request, 'DirectoryURL') ?? ''))
    problems.push({ path: 'DirectoryURL', rule: 'format', expected: 'an https URL' });
  for (const [index, purpose] of (listOf(request, 'ExtendedKeyUsage') ?? []).entries()) {
    if (typeof purpose === 'string' && !OID.test(purpose))
      problems.push({ path: `ExtendedKeyUsage[${index}]`, rule: 'format', expected: 'a dotted OID' });
  }
  return problems;
}

function keyProblems(request: JsonObject): RequestProblem[] {
  const { HardwareBound: bound, Attest: attest } = request;
  const problems: RequestProblem[] = [];
  const size = numberOf(request, 'KeySize') ?? 0;
  if (attest === true && bound !== true)
    problems.push({ path: 'Attest', rule: 'values', expected: 'false, unless HardwareBound is true' });
  if (textOf(request, 'KeyType') === 'RSA') {
    if (bound === true) problems.push({ path: 'HardwareBound', rule: 'values', expected: 'false for RSA' });
    if (size % 8 !== 0 || size < RSA_BITS_MIN || size > RSA_BITS_MAX) {
      const expected = `a multiple of 8 from ${RSA_BITS_MIN} to ${RSA_BITS_MAX} for RSA`;
      problems.push({ path: 'KeySize', rule: 'range', expected });
    }
    return problems;
  }
  const sizes = bound === true ? HARDWARE_SIZES : EC_SIZES;
  if (!sizes.includes(size)) {
    const what = bound === true ? 'a hardware-bound key' : 'ECSECPrimeRandom';
    problems.push({ path: 'KeySize', rule: 'values', expected: `${sizes.join(', ')} for ${what}` });
  }
  return problems;
}

function usageProblems(request: JsonObject, path: string): RequestProblem[] {
  const usage = numberOf(request, path);
  if (usage === undefined || USAGES.includes(usage)) return [];
  return [{ path, rule: 'values', expected: '1 (sign), 4 (encrypt) or 5 (both)' }];
}

/** An array of RDNs, each an array of pairs. */
function subjectProblems(request: JsonObject): RequestProblem[] {
  const problems: RequestProblem[] = [];
  for (const [at, name] of (listOf(request, 'Subject') ?? []).entries()) {
    for (const [index, pair] of (Array.isArray(name) ? name : []).entries()) {
      const attribute = Array.isArray(pair) ? pair[0] : undefined;
      if (typeof attribute !== 'string' || OID.test(attribute) || SHORT_NAME.test(attribute)) continue;
      const path = `Subject[${at}][${index}][0]`;
      problems.push({ path, rule: 'format', expected: 'a dotted OID or a short name such as CN' });
    }
  }
  return problems;
}
