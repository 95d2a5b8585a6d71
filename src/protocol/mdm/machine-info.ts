/**
 * MachineInfo (facts 5, step 3; Apple: MachineInfo): what a device says of itself when it asks for an enrollment
 * profile, taken out of its CMS by the caller. It identifies and does not prove (facts 19.11).
 */
import type { Platform, SerialNumber, Udid } from '../../domain/ids.ts';
import { PAIRING_TOKEN_CHARACTERS_MAX } from '../../pki/jws.ts';
import type { Bytes } from '../../std/bytes.ts';
import type { Outcome } from '../../std/outcome.ts';
import { parsePlistDict } from '../plist/parse.ts';
import { MessageReader, type MessageRefusal } from './message.ts';

export interface MachineInfo {
  readonly udid: Udid;
  readonly serial: SerialNumber;
  /** The model identifier, such as `Watch6,1`. */
  readonly product: string;
  /** By the product's name; null for neither a watch nor an iPhone. */
  readonly platform: Platform | null;
  /** The build, such as `21R355`. */
  readonly version: string;
  /** Watches send it; older phones do not. */
  readonly osVersion: string | null;
  readonly supplementalBuildVersion: string | null;
  readonly supplementalOsVersionExtra: string | null;
  readonly imei: string | null;
  readonly meid: string | null;
  readonly language: string | null;
  readonly softwareUpdateDeviceId: string | null;
  /** Watch only: what its iPhone fetched with GetToken, byte for byte. */
  readonly pairingToken: Bytes | null;
  readonly canRequestSoftwareUpdate: boolean;
  readonly canRequestPssoConfig: boolean;
}

export function parseMachineInfo(content: Bytes): Outcome<MachineInfo, MessageRefusal> {
  const plist = parsePlistDict(content);
  if (!plist.ok) return plist;
  const reader = new MessageReader(plist.value);
  const product = reader.string('PRODUCT');
  return reader.finish({
    udid: reader.udid(),
    serial: reader.serialNumber('SERIAL'),
    product,
    platform: platformOf(product),
    version: reader.string('VERSION'),
    osVersion: reader.optionalString('OS_VERSION'),
    supplementalBuildVersion: reader.optionalString('SUPPLEMENTAL_BUILD_VERSION'),
    supplementalOsVersionExtra: reader.optionalString('SUPPLEMENTAL_OS_VERSION_EXTRA'),
    imei: reader.optionalString('IMEI'),
    meid: reader.optionalString('MEID'),
    language: reader.optionalString('LANGUAGE'),
    softwareUpdateDeviceId: reader.optionalString('SOFTWARE_UPDATE_DEVICE_ID'),
    pairingToken: reader.optionalData('PAIRING_TOKEN', PAIRING_TOKEN_CHARACTERS_MAX),
    canRequestSoftwareUpdate: reader.optionalBoolean('MDM_CAN_REQUEST_SOFTWARE_UPDATE') ?? false,
    canRequestPssoConfig: reader.optionalBoolean('MDM_CAN_REQUEST_PSSO_CONFIG') ?? false,
  });
}

function platformOf(product: string): Platform | null {
  if (product.startsWith('Watch')) return 'watchOS';
  return product.startsWith('iPhone') ? 'iOS' : null;
}
