/** The payload types that each platform takes, of the schema of 18.1 (facts 15, "Profile payload types"). */
const BOTH = [
  'com.apple.applicationaccess',
  'com.apple.cellular',
  'com.apple.declarations',
  'com.apple.mdm',
  'com.apple.mobiledevice.passwordpolicy',
  'com.apple.security.acme',
  'com.apple.security.certificatetransparency',
  'com.apple.security.pem',
  'com.apple.security.pkcs1',
  'com.apple.security.pkcs12',
  'com.apple.security.root',
  'com.apple.security.scep',
  'com.apple.vpn.managed.applayer',
  'com.apple.wifi.managed',
];

const IPHONE_ONLY = [
  'com.apple.SetupAssistant.managed',
  'com.apple.airplay',
  'com.apple.airprint',
  'com.apple.apn.managed',
  'com.apple.app.lock',
  'com.apple.caldav.account',
  'com.apple.carddav.account',
  'com.apple.cellularprivatenetwork.managed',
  'com.apple.dnsProxy.managed',
  'com.apple.dnsSettings.managed',
  'com.apple.domains',
  'com.apple.eas.account',
  'com.apple.education',
  'com.apple.extensiblesso',
  'com.apple.font',
  'com.apple.globalethernet.managed',
  'com.apple.google-oauth',
  'com.apple.homescreenlayout',
  'com.apple.ldap.account',
  'com.apple.mail.managed',
  'com.apple.networkusagerules',
  'com.apple.notificationsettings',
  'com.apple.osxserver.account',
  'com.apple.profileRemovalPassword',
  'com.apple.proxy.http.global',
  'com.apple.relay.managed',
  'com.apple.security.certificaterevocation',
  'com.apple.shareddeviceconfiguration',
  'com.apple.sso',
  'com.apple.subscribedcalendar.account',
  'com.apple.tvremote',
  'com.apple.vpn.managed',
  'com.apple.webClip.managed',
  'com.apple.webcontent-filter',
];

const TYPES: Readonly<Record<string, ReadonlySet<string>>> = {
  Watch: new Set(BOTH),
  iPhone: new Set([...BOTH, ...IPHONE_ONLY]),
};

export function payloadTypes(family: string): ReadonlySet<string> {
  return TYPES[family] ?? new Set();
}

const SUPERVISED: Readonly<Record<string, readonly string[]>> = {
  Watch: ['com.apple.vpn.managed.applayer'],
  iPhone: [
    'com.apple.app.lock',
    'com.apple.homescreenlayout',
    'com.apple.notificationsettings',
    'com.apple.profileRemovalPassword',
    'com.apple.proxy.http.global',
  ],
};

export function needsSupervision(family: string, type: string): boolean {
  return SUPERVISED[family]?.includes(type) ?? false;
}
