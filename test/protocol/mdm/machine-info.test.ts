import { describe, expect, it } from 'vitest';
import { parseMachineInfo } from '../../../src/protocol/mdm/machine-info.ts';
import {
  bytesOf,
  data,
  type Message,
  readsBytesStrictly,
  readsFields,
  readValue,
  refusalOf,
  text,
} from './messages.ts';

const watch: Message = {
  UDID: '00008301-000123456789ABCD',
  SERIAL: 'ABCDEF123456',
  PRODUCT: 'Watch6,1',
  VERSION: '21R355',
  OS_VERSION: '10.0',
  SUPPLEMENTAL_BUILD_VERSION: '21R355a',
  SUPPLEMENTAL_OS_VERSION_EXTRA: '(a)',
  IMEI: '35 123456 123456 1',
  MEID: '35123456123456',
  LANGUAGE: 'en-US',
  SOFTWARE_UPDATE_DEVICE_ID: 'N157sAP',
  PAIRING_TOKEN: bytesOf(600),
};

describe('parseMachineInfo', () => {
  it('reads what a watch says of itself', () => {
    expect(readValue(parseMachineInfo, watch)).toEqual({
      udid: '00008301-000123456789ABCD',
      serial: 'ABCDEF123456',
      product: 'Watch6,1',
      platform: 'watchOS',
      version: '21R355',
      osVersion: '10.0',
      supplementalBuildVersion: '21R355a',
      supplementalOsVersionExtra: '(a)',
      imei: '35 123456 123456 1',
      meid: '35123456123456',
      language: 'en-US',
      softwareUpdateDeviceId: 'N157sAP',
      pairingToken: bytesOf(600),
      canRequestSoftwareUpdate: false,
      canRequestPssoConfig: false,
    });
  });

  it('reads the least an iPhone says', () => {
    const phone = {
      UDID: '00008110-001122334455667A',
      SERIAL: 'F2LXYZ123456',
      PRODUCT: 'iPhone15,2',
      VERSION: '21A329',
      MDM_CAN_REQUEST_SOFTWARE_UPDATE: true,
    };
    expect(readValue(parseMachineInfo, phone)).toMatchObject({
      platform: 'iOS',
      osVersion: null,
      pairingToken: null,
      canRequestSoftwareUpdate: true,
    });
  });

  it('knows no platform but these two', () => {
    for (const PRODUCT of ['iPad13,4', 'Mac14,2', 'watch6,1', 'x']) {
      expect(readValue(parseMachineInfo, { ...watch, PRODUCT }).platform).toBeNull();
    }
  });

  it('refuses identifiers that are none', () => {
    expect(refusalOf(parseMachineInfo, { ...watch, UDID: 'a b c d e f' })).toMatchObject({
      field: 'UDID',
      reason: 'malformed',
    });
    expect(refusalOf(parseMachineInfo, { ...watch, SERIAL: 'x'.repeat(33) })).toMatchObject({
      field: 'SERIAL',
      reason: 'malformed',
    });
  });

  readsBytesStrictly(parseMachineInfo, watch);
  readsFields(parseMachineInfo, watch, [
    { field: 'UDID', required: true, wrong: 5 },
    { field: 'SERIAL', required: true, wrong: 5 },
    text('PRODUCT', 1024),
    text('VERSION', 1024),
    ...[
      'OS_VERSION',
      'SUPPLEMENTAL_BUILD_VERSION',
      'SUPPLEMENTAL_OS_VERSION_EXTRA',
      'IMEI',
      'MEID',
      'LANGUAGE',
      'SOFTWARE_UPDATE_DEVICE_ID',
    ].map((field) => text(field, 1024, false)),
    data('PAIRING_TOKEN', 4096, false),
    { field: 'MDM_CAN_REQUEST_SOFTWARE_UPDATE', required: false, wrong: 'true' },
    { field: 'MDM_CAN_REQUEST_PSSO_CONFIG', required: false, wrong: 1 },
  ]);
});
