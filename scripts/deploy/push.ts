/**
 * The push certificate as client certificate of the Worker (`mtls_certificates`): uploaded once, found again by its
 * serial number. One that was renewed is uploaded beside the old one, which stays for going back.
 */
import { day } from './push-identity.ts';
import { change, kept, type Step } from './site.ts';

const PERMISSION = 'SSL and Certificates: Edit';

export const pushCertificate: Step = {
  async look(site) {
    const { push, names } = site;
    if (push === null) {
      site.mtlsCertificateId = site.worker.mtlsCertificateId;
      const has = site.mtlsCertificateId === null ? 'no push certificate in the Worker' : 'push certificate';
      return kept(`${has}, PUSH_TRANSPORT = ${site.vars['PUSH_TRANSPORT']}`);
    }
    const until = `of ${push.topic}, valid until ${day(push.notAfter)}`;
    const all = await site.api.list('mtls_certificates', PERMISSION);
    const same = all.find(
      ({ serial_number, name }) =>
        String(name).startsWith(names.pushCertificate) && sameSerial(String(serial_number), push.serial),
    );
    site.mtlsCertificateId = same === undefined ? null : String(same['id']);
    if (same !== undefined) return kept(`push certificate ${until}`);
    return change(`upload push certificate ${until}`, async () => {
      const made = await site.api.make(
        'mtls_certificates',
        {
          name: `${names.pushCertificate}-${push.serial.slice(-8).toLowerCase()}`,
          certificates: push.certificate,
          private_key: push.key,
          ca: false,
        },
        PERMISSION,
      );
      site.mtlsCertificateId = String(made['id']);
    });
  },
};

/** The API has it as a decimal number, its documentation's examples in hex. */
function sameSerial(listed: string, hex: string): boolean {
  const asHex = /^\d+$/.test(listed) ? BigInt(listed).toString(16) : '';
  const bare = (text: string) =>
    text
      .replace(/[^0-9a-f]/gi, '')
      .replace(/^0+/, '')
      .toLowerCase();
  return [bare(asHex), bare(listed)].includes(bare(hex));
}
