/**
 * What administrators say of one device: its name, and properties. Declarations use both as variables
 * (variables.ts); the device gets the properties by `com.apple.management.properties`, for `@property` in predicates.
 */
import type { SerialNumber, Udid } from '../ids.ts';
import type { AssignedDeclaration } from './library-ports.ts';

export type PropertyValue = string | number | boolean;

export interface DeviceProperties {
  readonly name: string | null;
  readonly values: Readonly<Record<string, PropertyValue>>;
}

export const NO_PROPERTIES: DeviceProperties = { name: null, values: {} };
export const PROPERTIES_MAX = 64;
/** Of a name and of each value that is text. */
export const PROPERTY_CHARS_MAX = 256;

const IDENTIFIER = 'com.escapement.properties';

/** What variables stand for. */
export interface DeviceFacts {
  readonly udid: Udid;
  readonly serial: SerialNumber;
  readonly properties: DeviceProperties;
}

/** None for a device without properties. */
export function propertiesDeclaration({ values }: DeviceProperties): readonly AssignedDeclaration[] {
  if (Object.keys(values).length === 0) return [];
  return [
    {
      kind: 'management',
      identifier: IDENTIFIER,
      type: 'com.apple.management.properties',
      content: { payload: { ...values }, templated: false, salt: null },
    },
  ];
}
