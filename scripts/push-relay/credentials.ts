/**
 * The MDM push certificate with its key, as Apple's portal and `openssl` give them (PEM). The topic is the
 * certificate's subject UID; a certificate of another kind, out of its time or without its key stops the start.
 * The key goes into a TLS context once and is held nowhere else.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';

export class BadSettings extends Error {}

export interface PushCredentials {
  readonly topic: string;
  readonly notAfterMs: number;
  readonly context: SecureContext;
}

export interface CredentialFiles {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly passphrase?: string | undefined;
  /** Whom to believe as APNs instead of the public authorities. */
  readonly caPem?: string | undefined;
}

/** Every MDM topic begins so; an app's push certificate has its bundle identifier here. */
const TOPIC = /^com\.apple\.mgmt\.[\w.-]{1,200}$/;

export function readCredentials(files: CredentialFiles, nowMs: number): PushCredentials {
  const certificate = readCertificate(files.certificatePem);
  const key = readKey(files.keyPem, files.passphrase);
  if (!certificate.checkPrivateKey(key)) throw new BadSettings('the key is not that of the push certificate');
  const notAfterMs = Date.parse(certificate.validTo);
  if (Date.parse(certificate.validFrom) > nowMs)
    throw new BadSettings('the push certificate is not valid yet');
  if (!(notAfterMs > nowMs)) {
    throw new BadSettings(
      `the push certificate expired on ${certificate.validTo}: renew it, do not replace it`,
    );
  }
  const context = createSecureContext({
    cert: files.certificatePem,
    key: String(key.export({ type: 'pkcs8', format: 'pem' })),
    ...(files.caPem === undefined ? {} : { ca: files.caPem }),
    minVersion: 'TLSv1.2',
  });
  return { topic: topicOf(certificate), notAfterMs, context };
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    // OpenSSL's words name its own layers; the reader of this message has a file to look at.
    throw new BadSettings('the push certificate is not a certificate in PEM');
  }
}

function readKey(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch {
    // The cause could quote the key.
    throw new BadSettings(
      'the key of the push certificate is not a private key in PEM, or its passphrase is wrong',
    );
  }
}

/** Node writes a subject as one `name=value` line per attribute. */
function topicOf(certificate: X509Certificate): string {
  const uids = certificate.subject.split('\n').filter((line) => line.startsWith('UID='));
  const topic = uids[0]?.slice('UID='.length) ?? '';
  if (uids.length !== 1 || !TOPIC.test(topic)) {
    throw new BadSettings('the certificate is not for MDM pushes: its subject has no UID com.apple.mgmt.…');
  }
  return topic;
}
