/**
 * AccessRights: the sum of what an enrollment profile lets the server do (facts 6; Apple: com.apple.mdm). They are
 * fixed in each profile that is installed; an update of it may take away and never add.
 */
export const ACCESS_RIGHTS: Readonly<Record<string, number>> = {
  AllowInspection: 1,
  AllowInstallationRemoval: 2,
  AllowPasscodeRemovalAndLock: 4,
  AllowDeviceErase: 8,
  AllowQueryDeviceInformation: 16,
  AllowQueryNetworkInformation: 32,
  AllowProvisioningInspection: 64,
  AllowProvisioningInstallationRemoval: 128,
  AllowQueryApplications: 256,
  AllowQueryRestrictions: 512,
  AllowQuerySecurity: 1024,
  AllowSettings: 2048,
  AllowAppInstallation: 4096,
};

/** The sum of the thirteen bits: everything the device offers. */
export const ACCESS_RIGHTS_ALL = 8191;

/** Never 0; 2 (installation and removal) needs 1, and 128 needs 64. */
export function isAccessRights(rights: number): boolean {
  const known = Number.isInteger(rights) && rights >= 1 && rights <= ACCESS_RIGHTS_ALL;
  const has = (bit: number) => (rights & bit) !== 0;
  return known && (has(1) || !has(2)) && (has(64) || !has(128));
}

/** Whether a right that the schema names is not granted; what is no right (`none`, `varies`) never lacks. */
export function lacksRight(rights: number, name: string): boolean {
  const bit = Object.hasOwn(ACCESS_RIGHTS, name) ? (ACCESS_RIGHTS[name] ?? 0) : 0;
  return (rights & bit) !== bit;
}
