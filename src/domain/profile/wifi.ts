/**
 * Rules of `com.apple.wifi.managed` that span keys (facts 15). Password and 802.1X exclude each other; each way of
 * EAP has what it needs; a proxy is whole. What would ask the wearer is refused for a watch: nobody can answer there.
 * WEP and open networks are warned of and not refused: they are what some places have.
 */
import type { JsonObject } from '../../protocol/plist/json.ts';
import { utf8 } from '../../std/bytes.ts';
import type { PlacedFindings } from './findings.ts';
import { dictOf, listOf, numberOf, textOf } from './keys.ts';
import { isWebUrl } from './url.ts';

/** IEEE 802.11: an SSID has at most 32 octets. */
const SSID_OCTETS_MAX = 32;
/** IEEE 802.11i Annex J: a passphrase, or the 256 bits of the key itself. */
const WPA_PASSWORD = /^(?:[\x20-\x7e]{8,63}|[0-9A-Fa-f]{64})$/;
/** 40 or 104 bits, as text or hexadecimal. */
const WEP_PASSWORD = /^(?:[\x20-\x7e]{5}|[\x20-\x7e]{13}|[0-9A-Fa-f]{10}|[0-9A-Fa-f]{26})$/;
/** SAE takes passwords of any length; this is longer than access points do. */
const SAE_CHARS_MAX = 128;
const SERVER_NAME = /^[^\s]{1,255}$/;

/** Numbers of the IANA registry of EAP types. */
const TLS = 13;
const LEAP = 17;
const TTLS = 21;
const PEAP = 25;
const FAST = 43;
const WITH_PASSWORD = [LEAP, TTLS, PEAP, FAST];
const WITH_TUNNEL = [TTLS, PEAP, FAST];
const EAP = 'EAPClientConfiguration';

export function judgeWifi(keys: JsonObject, found: PlacedFindings): void {
  judgeName(keys, found);
  if (dictOf(keys, EAP) === undefined) judgePersonal(keys, found);
  else judgeEnterprise(keys, found);
  judgeProxy(keys, found);
}

function judgeName(keys: JsonObject, found: PlacedFindings): void {
  const name = textOf(keys, 'SSID_STR');
  if (name === undefined) {
    if (keys['IsHotspot'] === true && textOf(keys, 'DomainName') !== undefined) return;
    found.problem(
      'SSID_STR',
      'needed',
      "the network's name (only Passpoint, with IsHotspot, has DomainName)",
    );
    return;
  }
  const { length } = utf8(name);
  if (length < 1 || length > SSID_OCTETS_MAX)
    found.problem('SSID_STR', 'value', `1 to ${SSID_OCTETS_MAX} octets of UTF-8`);
}

function judgePersonal(keys: JsonObject, found: PlacedFindings): void {
  const encryption = textOf(keys, 'EncryptionType') ?? 'Any';
  const password = textOf(keys, 'Password');
  warnOfEncryption(encryption, found);
  if (keys['PayloadCertificateUUID'] !== undefined)
    found.problem(EAP, 'needed', 'AcceptEAPTypes, for an identity to be used');
  if (encryption === 'None') {
    if (password !== undefined) found.problem('Password', 'conflict', 'none: an open network asks for none');
    return;
  }
  if (password !== undefined) judgePassword(encryption, password, found);
  else if (encryption !== 'Any')
    found.on('watchOS', 'Password', 'unattended', 'a Password, or EAPClientConfiguration: nobody is asked');
}

function warnOfEncryption(encryption: string, found: PlacedFindings): void {
  if (encryption === 'WEP') found.warning('EncryptionType', 'weak', 'WPA2 or WPA3: WEP is read by anyone');
  if (encryption === 'None')
    found.warning('EncryptionType', 'weak', 'WPA2 or WPA3: an open network is read by anyone');
}

function judgePassword(encryption: string, password: string, found: PlacedFindings): void {
  const wep = WEP_PASSWORD.test(password);
  const wpa = WPA_PASSWORD.test(password);
  const refuse = (expected: string) => found.problem('Password', 'value', expected);
  const WPA = '8 to 63 printable ASCII characters, or 64 hexadecimal digits';
  const WEP = '5 or 13 characters, or 10 or 26 hexadecimal digits';
  if (encryption === 'WEP' && !wep) refuse(WEP);
  if ((encryption === 'WPA' || encryption === 'WPA2') && !wpa) refuse(WPA);
  if (encryption === 'Any' && !wep && !wpa) refuse(`${WPA}; of WEP ${WEP}`);
  if (encryption === 'WPA3' && (password === '' || password.length > SAE_CHARS_MAX))
    refuse(`1 to ${SAE_CHARS_MAX} characters`);
}

function judgeEnterprise(keys: JsonObject, found: PlacedFindings): void {
  const eap = dictOf(keys, EAP) ?? {};
  const encryption = textOf(keys, 'EncryptionType') ?? 'Any';
  warnOfEncryption(encryption, found);
  if (encryption === 'None') found.problem('EncryptionType', 'conflict', 'WPA2 or WPA3, for 802.1X');
  if (keys['Password'] !== undefined)
    found.problem('Password', 'conflict', `none beside ${EAP}: UserPassword is in there`);
  const types = listOf(eap, 'AcceptEAPTypes') ?? [];
  if (types.length === 0) found.problem(`${EAP}.AcceptEAPTypes`, 'count', 'at least 1 items');
  const accepts = (wanted: readonly number[]) => wanted.some((type) => types.includes(type));
  const identity = keys['PayloadCertificateUUID'] !== undefined;
  const showsIdentity = accepts([TLS]) || eap['TLSCertificateIsRequired'] === true;
  if (showsIdentity && !identity)
    found.problem(
      'PayloadCertificateUUID',
      'needed',
      'the name of the SCEP, ACME or PKCS#12 payload to show',
    );
  if (accepts(WITH_PASSWORD) && !(showsIdentity && identity)) judgeUser(eap, found);
  if (accepts([TLS, ...WITH_TUNNEL])) judgeServerTrust(eap, found);
  if (eap['TTLSInnerAuthentication'] !== undefined && !accepts([TTLS]))
    found.warning(`${EAP}.TTLSInnerAuthentication`, 'ignored', `${TTLS} (TTLS) among AcceptEAPTypes`);
  if (eap['OuterIdentity'] !== undefined && !accepts(WITH_TUNNEL))
    found.warning(`${EAP}.OuterIdentity`, 'ignored', 'TTLS, PEAP or EAP-FAST among AcceptEAPTypes');
}

function judgeUser(eap: JsonObject, found: PlacedFindings): void {
  const [user, password] = [textOf(eap, 'UserName'), textOf(eap, 'UserPassword')];
  if (user === undefined && password !== undefined) {
    found.problem(`${EAP}.UserName`, 'needed', 'the user whose password this is');
    return;
  }
  const asks = 'present: nobody is asked';
  if (user === undefined) found.on('watchOS', `${EAP}.UserName`, 'unattended', asks);
  if (password === undefined) found.on('watchOS', `${EAP}.UserPassword`, 'unattended', asks);
  if (eap['OneTimeUserPassword'] === true)
    found.on('watchOS', `${EAP}.OneTimeUserPassword`, 'unattended', 'false: nobody is asked');
}

function judgeServerTrust(eap: JsonObject, found: PlacedFindings): void {
  const names = listOf(eap, 'TLSTrustedServerNames') ?? [];
  const anchors = listOf(eap, 'PayloadCertificateAnchorUUID') ?? [];
  if (names.length === 0 && anchors.length === 0) {
    const expected =
      'this, or PayloadCertificateAnchorUUID: else somebody is asked whether to trust the server';
    found.warning(`${EAP}.TLSTrustedServerNames`, 'server-trust', expected);
  }
  for (const [index, name] of names.entries()) {
    if (typeof name === 'string' && !SERVER_NAME.test(name))
      found.problem(`${EAP}.TLSTrustedServerNames[${index}]`, 'value', 'a name such as *.example.com');
  }
  // The catalog's own defaults.
  const [least, most] = [
    textOf(eap, 'TLSMinimumVersion') ?? '1.0',
    textOf(eap, 'TLSMaximumVersion') ?? '1.2',
  ];
  if (least > most)
    found.problem(`${EAP}.TLSMaximumVersion`, 'conflict', `${least} or later, as TLSMinimumVersion says`);
}

function judgeProxy(keys: JsonObject, found: PlacedFindings): void {
  const type = textOf(keys, 'ProxyType') ?? 'None';
  const ofManual = ['ProxyServer', 'ProxyServerPort', 'ProxyUsername', 'ProxyPassword'];
  const ofAuto = ['ProxyPACURL', 'ProxyPACFallbackAllowed'];
  const foreign = [...(type === 'Manual' ? [] : ofManual), ...(type === 'Auto' ? [] : ofAuto)];
  for (const name of foreign) {
    if (keys[name] !== undefined) {
      const fitting = ofAuto.includes(name) ? 'Auto' : 'Manual';
      found.problem(name, 'conflict', `ProxyType ${fitting}, for this to count`);
    }
  }
  if (type === 'Manual') {
    if (!textOf(keys, 'ProxyServer'))
      found.problem('ProxyServer', 'needed', 'the name or address of the proxy');
    if (!numberOf(keys, 'ProxyServerPort')) found.problem('ProxyServerPort', 'needed', '1 to 65535');
    if (keys['ProxyPassword'] !== undefined && keys['ProxyUsername'] === undefined)
      found.problem('ProxyUsername', 'needed', 'the user whose password this is');
  }
  const script = textOf(keys, 'ProxyPACURL');
  if (script !== undefined && !isWebUrl(script))
    found.problem('ProxyPACURL', 'value', 'an http or https URL');
}
