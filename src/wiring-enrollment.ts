/** The enrollment profile of this deployment: its URLs, its authority, its topic, and UUIDs drawn for each. */
import type { Config } from './config.ts';
import type { ProfileBuilder } from './domain/pairing/ports.ts';
import type { Authority } from './pki/keys.ts';
import { randomUuid } from './pki/random.ts';
import { buildEnrollmentProfile } from './protocol/profile/enrollment-profile.ts';

export function profileBuilder(config: Config, authority: Authority): ProfileBuilder {
  const { publicUrl, organization, pushTopic: topic } = config;
  return {
    build: (subject, challenge) =>
      buildEnrollmentProfile({
        platform: subject.platform,
        organization,
        topic,
        serverUrl: `${publicUrl}/mdm/connect`,
        checkInUrl: `${publicUrl}/mdm/checkin`,
        accessRights: config.accessRights,
        scep: { url: `${publicUrl}/scep`, challenge, subject: { udid: subject.udid } },
        caCertificateDer: authority.certificate.der,
        uuids: { profile: randomUuid(), ca: randomUuid(), scep: randomUuid(), mdm: randomUuid() },
      }),
  };
}
