/** The certificate of an enrollment: asked for as the profile says, and looked over as a device does. */
import { readName, type X509 } from './certificate.ts';
import type { DeviceKey } from './keys.ts';
import type { EnrollmentProfile } from './profile.ts';
import { ScepClient, type ScepOptions } from './scep.ts';
import { SimulatorError, type World } from './world.ts';

export interface Applicant {
  readonly world: World;
  readonly name: string;
  readonly udid: string;
  readonly key: DeviceKey;
  readonly scep?: ScepOptions | undefined;
  /** For a renewal: the certificate that is to be replaced. */
  readonly held: X509 | null;
}

export async function obtainCertificate(applicant: Applicant, profile: EnrollmentProfile): Promise<X509> {
  const { world, name, udid, key, held } = applicant;
  const { url, challenge, subject, caFingerprint } = profile.scep;
  const { certificate, ca } = await new ScepClient(world, name).enroll({
    url,
    subject,
    key,
    challenge,
    ...applicant.scep,
    ...(caFingerprint === null ? {} : { caFingerprint }),
    ...(held === null ? {} : { signer: { key, certificate: held } }),
  });
  const wrong = (expected: string, got: string) => new SimulatorError(name, expected, got);
  const known = profile.anchors.length === 0 || profile.anchors.some((anchor) => anchor.der.equals(ca.der));
  if (!known) throw wrong('a certificate that chains to a certificate in the profile', 'another CA');
  const names = [...readName(certificate.subject).values()];
  if (!names.some((value) => value.includes(udid))) {
    throw wrong('the UDID in the issued subject', names.join(', '));
  }
  if (certificate.keyUsage?.[0] !== '1') {
    throw wrong('digitalSignature in keyUsage', String(certificate.keyUsage));
  }
  if (certificate.notBeforeMs > Date.now() + 1000 || certificate.notAfterMs < Date.now()) {
    throw wrong('a certificate that is valid now', new Date(certificate.notBeforeMs).toISOString());
  }
  return certificate;
}
