/**
 * The MDM push certificate and its key as files: read, judged, never written. The topic is the UID in the subject
 * (Apple, Setting Up Push Notifications for Your MDM Customers); a renewed certificate keeps it.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Stop } from './site.ts';

export interface PushIdentity {
  readonly topic: string;
  readonly certificate: string;
  readonly key: string;
  /** Upper-case hex without leading zeros, as `serialNumber` of Node has it. */
  readonly serial: string;
  readonly notAfter: Date;
}

const RENEWAL = 'Get one from identity.apple.com/pushcert; docs/operations.md says how.';
const TOPIC = /^UID=(com\.apple\.mgmt\..+)$/m;

export function readPushIdentity(certificatePath: string, keyPath: string, now: Date): PushIdentity {
  const pem = readText(certificatePath, '--push-certificate');
  const key = readText(keyPath === '-' ? 0 : keyPath, '--push-key');
  if (/ENCRYPTED/.test(key)) {
    throw new Stop(
      'The key of the push certificate is encrypted',
      'Pipe it in: openssl pkey -in key.pem | npm run deploy -- … --push-key - --yes',
    );
  }
  const certificate = parse(() => new X509Certificate(pem), '--push-certificate is no PEM certificate');
  const privateKey = parse(() => createPrivateKey(key), '--push-key is no PEM private key');
  const topic = TOPIC.exec(certificate.subject)?.[1];
  if (topic === undefined)
    throw new Stop('The certificate has no UID com.apple.mgmt.…: not for MDM', RENEWAL);
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new Stop(
      '--push-key is not the key of --push-certificate',
      'Give the key its request was made with.',
    );
  }
  const notAfter = new Date(certificate.validTo);
  if (notAfter <= now)
    throw new Stop(`The push certificate expired ${day(notAfter)}`, `Renew it. ${RENEWAL}`);
  return { topic, certificate: pem, key, serial: certificate.serialNumber.replace(/^0+/, ''), notAfter };
}

export const day = (date: Date): string => date.toISOString().slice(0, 10);

function readText(path: string | 0, option: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Stop(`${option} cannot be read (${(error as NodeJS.ErrnoException).code})`, 'Check the path.');
  }
}

function parse<T>(read: () => T, problem: string): T {
  try {
    return read();
  } catch {
    // OpenSSL's reason names offsets in DER, and nothing that anybody can act on.
    throw new Stop(
      problem,
      'Check the file: openssl x509 -in FILE -noout -subject, or openssl pkey -in FILE -noout',
    );
  }
}
