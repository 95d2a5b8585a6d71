/** Which rules go with which payload type. Types without an entry are judged by the catalog alone. */
import type { JsonObject } from '../../protocol/plist/json.ts';
import { judgeCellular } from './cellular.ts';
import { acmeProblems, type RequestProblem, scepProblems } from './certificate-request.ts';
import {
  judgeDer,
  judgePem,
  judgePkcs12,
  judgeRoot,
  prepareDer,
  preparePem,
  preparePkcs12,
} from './certificates.ts';
import type { PlacedFindings } from './findings.ts';
import { dictOf, numberOf } from './keys.ts';
import { judgePasscode, judgeRestrictions } from './policies.ts';
import { PAYLOAD } from './references.ts';
import { judgePerAppVpn, judgeVpn } from './vpn.ts';
import { judgeWifi } from './wifi.ts';

export interface PayloadRules {
  /** What was written made into what the device takes, before the catalog sees it. */
  readonly prepare?: (keys: JsonObject, found: PlacedFindings, uuid: string) => JsonObject;
  /** What spans keys; the catalog has found nothing before. */
  readonly judge: (keys: JsonObject, found: PlacedFindings) => unknown;
}

const RSA_BITS_MIN = 2048;
/** Facts 19.3: without these an Apple client asks for RSA-1024 that can only sign. */
const SCEP_DEFAULTS = { Keysize: 2048, 'Key Type': 'RSA', 'Key Usage': 5 };

function prepareScep(keys: JsonObject): JsonObject {
  const request = dictOf(keys, 'PayloadContent');
  return request === undefined ? keys : { ...keys, PayloadContent: { ...SCEP_DEFAULTS, ...request } };
}

function judgeScep(keys: JsonObject, found: PlacedFindings): void {
  const request = dictOf(keys, 'PayloadContent') ?? {};
  report(scepProblems(request), 'PayloadContent.', found);
  if ((numberOf(request, 'Keysize') ?? 0) < RSA_BITS_MIN)
    found.warning('PayloadContent.Keysize', 'weak', '2048 or 4096');
}

function judgeAcme(keys: JsonObject, found: PlacedFindings): void {
  report(acmeProblems(keys), '', found);
  if (keys['KeyType'] === 'RSA' && (numberOf(keys, 'KeySize') ?? 0) < RSA_BITS_MIN)
    found.warning('KeySize', 'weak', '2048 or more for RSA');
  if (keys['KeyType'] !== 'RSA' && numberOf(keys, 'KeySize') === 192)
    found.warning('KeySize', 'weak', '256 or more');
}

function report(problems: readonly RequestProblem[], prefix: string, found: PlacedFindings): void {
  for (const { path, rule, expected } of problems) found.problem(`${prefix}${path}`, rule, expected);
}

const RULES: Readonly<Record<string, PayloadRules>> = {
  'com.apple.wifi.managed': { judge: judgeWifi },
  'com.apple.cellular': { judge: judgeCellular },
  'com.apple.vpn.managed.applayer': {
    prepare: (keys, _found, uuid) => ({ VPNUUID: uuid, ...keys }),
    judge: judgePerAppVpn,
  },
  'com.apple.vpn.managed': { judge: judgeVpn },
  [PAYLOAD.scep]: { prepare: prepareScep, judge: judgeScep },
  [PAYLOAD.acme]: { judge: judgeAcme },
  'com.apple.mobiledevice.passwordpolicy': { judge: judgePasscode },
  'com.apple.applicationaccess': { judge: judgeRestrictions },
  [PAYLOAD.root]: { prepare: prepareDer, judge: judgeRoot },
  [PAYLOAD.pkcs1]: { prepare: prepareDer, judge: judgeDer },
  [PAYLOAD.pem]: { prepare: preparePem, judge: judgePem },
  [PAYLOAD.pkcs12]: { prepare: preparePkcs12, judge: judgePkcs12 },
};

export function rulesOf(type: string): PayloadRules | null {
  return Object.hasOwn(RULES, type) ? (RULES[type] ?? null) : null;
}
