/**
 * What a device is and has, for its answers and its status reports.
 */
import { Buffer } from 'node:buffer';
import type { DeviceFacts } from './answers.ts';
import type { Json } from './declarations.ts';
import type { PlistDict } from './plist.ts';
import type { Random } from './random.ts';

export interface Model {
  readonly name: string;
  readonly modelName: string;
  readonly product: string;
  readonly osVersion: string;
  readonly build: string;
  readonly family: string;
  readonly configurations: readonly string[];
}

export interface Individual {
  readonly udid: string;
  readonly serial: string;
  readonly supervised: boolean;
  readonly certificates: DeviceFacts['certificates'];
}

/** UnlockTokens in the field have over 1 kB and an odd length (facts 19.7). */
const UNLOCK_TOKEN_BYTES = 1201;

export function newFacts(model: Model, individual: Individual, dice: Random): DeviceFacts {
  const { product, osVersion, build, modelName } = model;
  return {
    ...individual,
    product,
    osVersion,
    build,
    modelName,
    unlockToken: Buffer.from(dice.bytes(UNLOCK_TOKEN_BYTES)),
    profiles: new Map<string, PlistDict>(),
    apps: new Map([['com.example.built-in', { name: 'built-in', version: '1.0', managed: false }]]),
    locked: false,
    passcode: true,
    compliant: true,
    erased: false,
  };
}

/** Everything reportable, by dotted item name (facts 15, status items). */
export function statusItems(model: Model, facts: DeviceFacts): Record<string, Json> {
  return {
    'device.identifier.serial-number': facts.serial,
    'device.identifier.udid': facts.udid,
    'device.model.family': model.family,
    'device.model.identifier': model.product,
    'device.model.marketing-name': model.modelName,
    'device.operating-system.build-version': model.build,
    'device.operating-system.family': model.family === 'Watch' ? 'watchOS' : 'iOS',
    'device.operating-system.version': model.osVersion,
    'passcode.is-compliant': facts.compliant,
    'passcode.is-present': facts.passcode,
  };
}
