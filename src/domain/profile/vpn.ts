/**
 * Rules of a VPN, per app (`com.apple.vpn.managed.applayer`) and of the whole iPhone (`com.apple.vpn.managed`).
 * On a watch (facts 12): IKEv2 only, an idle time of at most 15 s, and on demand only Disconnect. Which keys a platform
 * has at all is the catalog's; that an Always On VPN rules out a watch is warned of in any profile (warnings.ts).
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import type { PlacedFindings } from './findings.ts';
import { dictOf, listOf, numberOf, textOf } from './keys.ts';

const WATCH_IDLE_SECONDS_MAX = 15;
/** Where the settings of each type are. */
const SETTINGS: Readonly<Record<string, string>> = {
  IKEv2: 'IKEv2',
  VPN: 'VPN',
  IPSec: 'IPSec',
  L2TP: 'PPP',
  AlwaysOn: 'AlwaysOn',
};
const WEAK_CIPHERS = ['DES', '3DES'];
const WEAK_DIGESTS = ['SHA1-96', 'SHA1-160'];
/** Of 768, 1024 and 1536 bits. */
const WEAK_GROUPS = [1, 2, 5];

export function judgeVpn(keys: JsonObject, found: PlacedFindings): void {
  const type = textOf(keys, 'VPNType') ?? '';
  const settings = SETTINGS[type];
  if (type !== 'IKEv2') found.on('watchOS', 'VPNType', 'platform', 'IKEv2');
  if (settings !== undefined && dictOf(keys, settings) === undefined)
    found.problem(settings, 'needed', `a dictionary, for VPNType ${type}`);
  if (type === 'VPN' && textOf(keys, 'VPNSubType') === undefined)
    found.problem('VPNSubType', 'needed', 'the bundle identifier of the app that makes the tunnel');
  for (const name of ['IKEv2', 'VPN', 'IPSec', 'PPP']) {
    const block = dictOf(keys, name);
    if (block !== undefined) judgeConnection(block, name, found);
  }
  const ike = dictOf(keys, 'IKEv2');
  if (type === 'IKEv2' && ike !== undefined) judgeIke(ike, found);
}

/** VPNUUID is how apps name their VPN; one that is not given is the payload's own. */
export function judgePerAppVpn(keys: JsonObject, found: PlacedFindings): void {
  if (textOf(keys, 'VPNUUID') === '') found.problem('VPNUUID', 'value', 'a UUID');
  judgeVpn(keys, found);
}

function judgeConnection(block: JsonObject, path: string, found: PlacedFindings): void {
  const seconds = numberOf(block, 'DisconnectOnIdleTimer');
  if (seconds !== undefined) {
    const at = `${path}.DisconnectOnIdleTimer`;
    if (seconds < 1) found.problem(at, 'range', 'at least 1 second');
    if (seconds > WATCH_IDLE_SECONDS_MAX)
      found.on('watchOS', at, 'range', `at most ${WATCH_IDLE_SECONDS_MAX} seconds`);
    if (block['DisconnectOnIdle'] !== 1)
      found.warning(at, 'ignored', 'DisconnectOnIdle 1, for this to count');
  }
  for (const [index, rule] of (listOf(block, 'OnDemandRules') ?? []).entries()) {
    const at = `${path}.OnDemandRules[${index}]`;
    if (textOf(rule as JsonObject, 'Action') !== 'Disconnect')
      found.on('watchOS', `${at}.Action`, 'values', 'Disconnect');
    const needsParameters = textOf(rule as JsonObject, 'Action') === 'EvaluateConnection';
    if (needsParameters && (listOf(rule as JsonObject, 'ActionParameters') ?? []).length === 0)
      found.problem(`${at}.ActionParameters`, 'needed', 'for EvaluateConnection');
  }
}

function judgeIke(ike: JsonObject, found: PlacedFindings): void {
  const method = textOf(ike, 'AuthenticationMethod');
  const extended = ike['ExtendedAuthEnabled'] === 1;
  const certificate = ike['PayloadCertificateUUID'] !== undefined;
  if (method === 'Certificate' && !certificate)
    found.problem('IKEv2.PayloadCertificateUUID', 'needed', 'the name of the SCEP, ACME or PKCS#12 payload');
  if (method === 'SharedSecret' && textOf(ike, 'SharedSecret') === undefined)
    found.problem('IKEv2.SharedSecret', 'needed', 'for AuthenticationMethod SharedSecret');
  if (method !== 'SharedSecret' && ike['SharedSecret'] !== undefined)
    found.warning('IKEv2.SharedSecret', 'ignored', 'AuthenticationMethod SharedSecret, for this to count');
  if (method === 'None' && !extended)
    found.problem('IKEv2.ExtendedAuthEnabled', 'needed', '1, for AuthenticationMethod None');
  if (extended && !certificate) {
    for (const name of ['AuthName', 'AuthPassword']) {
      if (textOf(ike, name) === undefined)
        found.on('watchOS', `IKEv2.${name}`, 'unattended', 'present: nobody is asked');
    }
  }
  for (const name of ['IKESecurityAssociationParameters', 'ChildSecurityAssociationParameters']) {
    const parameters = dictOf(ike, name);
    if (parameters !== undefined) warnOfWeakness(parameters, `IKEv2.${name}`, found);
  }
  if ((textOf(ike, 'TLSMinimumVersion') ?? '1.0') > (textOf(ike, 'TLSMaximumVersion') ?? '1.2'))
    found.problem('IKEv2.TLSMaximumVersion', 'conflict', 'TLSMinimumVersion or later');
}

function warnOfWeakness(parameters: JsonObject, path: string, found: PlacedFindings): void {
  if (WEAK_CIPHERS.includes(textOf(parameters, 'EncryptionAlgorithm') ?? ''))
    found.warning(`${path}.EncryptionAlgorithm`, 'weak', 'AES-256 or AES-256-GCM');
  if (WEAK_DIGESTS.includes(textOf(parameters, 'IntegrityAlgorithm') ?? ''))
    found.warning(`${path}.IntegrityAlgorithm`, 'weak', 'SHA2-256 or more');
  if (WEAK_GROUPS.includes(numberOf(parameters, 'DiffieHellmanGroup') ?? 14))
    found.warning(`${path}.DiffieHellmanGroup`, 'weak', '14 or more');
}
