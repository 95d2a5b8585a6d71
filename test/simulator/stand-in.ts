/**
 * A small server that behaves, to prove the devices without the real one: SCEP, check-in, connect, declarative
 * management and the pairing handshake, over this folder's own formats. `spoil` lets a test make it misbehave and
 * see the device notice. It keeps no rules of its own: no single use, no expiry, no rights.
 */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { issueCertificate, OID, readCertificate, readName, type X509 } from './certificate.ts';
import { CMS, open, sign } from './cms.ts';
import {
  child,
  context,
  integer,
  octetString,
  oid,
  oidText,
  printable,
  read,
  sequence,
  set,
  tlv,
} from './der.ts';
import { envelop, openEnvelope } from './enveloped.ts';
import { DeviceKey } from './keys.ts';
import { type PlistDict, readDict, writePlist } from './plist.ts';
import { createDeviceCa } from './world.ts';

export interface StandInDeclaration {
  readonly kind: 'activation' | 'configuration' | 'asset' | 'management';
  readonly document: { Type: string; Identifier: string; ServerToken: string; Payload: object };
}

type Handler = (request: Request, body: Buffer) => Response;

const SCEP_ATTRIBUTE = '2.16.840.1.113733.1.9.';

export class StandIn {
  readonly url = 'https://mdm.example.com';
  readonly key = DeviceKey.generate();
  readonly ca: X509;
  /** Commands waiting, by their UUID. */
  readonly queue = new Map<string, PlistDict>();
  readonly results: PlistDict[] = [];
  readonly messages: PlistDict[] = [];
  readonly reports: unknown[] = [];
  readonly assets = new Map<string, { type: string; data: Buffer }>();
  declarations: StandInDeclaration[] = [];
  declarationsToken = 'empty';
  /** Answered NotNow in this session. */
  readonly #deferred = new Set<string>();
  /** Fields that replace those of the MDM payload. */
  mdm: PlistDict = {};
  /** Changes a request's answer. */
  spoil: (path: string, response: Response) => Response | Promise<Response> = (_path, response) => response;

  constructor() {
    const pem = createDeviceCa('Stand-in CA', this.key).certificatePem;
    this.ca = readCertificate(Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64'));
  }

  send = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const handler = this.#handlers[pathname.startsWith('/assets/') ? '/assets' : pathname];
    const body = Buffer.from(await request.arrayBuffer());
    const response = handler?.(request, body) ?? new Response('not found', { status: 404 });
    return this.spoil(pathname, response);
  };

  profile(): Buffer {
    const payload = (type: string, identifier: string, fields: PlistDict): PlistDict => ({
      PayloadType: type,
      PayloadVersion: 1,
      PayloadIdentifier: `com.example.${identifier}`,
      PayloadUUID: `00000000-0000-4000-8000-${Buffer.from(identifier).toString('hex').padStart(12, '0')}`,
      ...fields,
    });
    const scep = payload('com.apple.security.scep', 'scep', {
      PayloadContent: {
        URL: `${this.url}/scep`,
        Challenge: 'open sesame',
        Keysize: 2048,
        'Key Type': 'RSA',
        'Key Usage': 5,
        Subject: [[['CN', 'to be decided']], [['O', 'Example']]],
      },
    });
    const mdm = payload('com.apple.mdm', 'mdm', {
      PayloadOrganization: 'Example',
      IdentityCertificateUUID: scep['PayloadUUID']!,
      Topic: 'com.apple.mgmt.External.example',
      ServerURL: `${this.url}/mdm/connect`,
      CheckInURL: `${this.url}/mdm/checkin`,
      AccessRights: 8191,
      SignMessage: true,
      ServerCapabilities: ['com.apple.mdm.token'],
      ...this.mdm,
    });
    const root = payload('com.apple.security.root', 'root', { PayloadContent: this.ca.der });
    return writePlist(payload('Configuration', 'top', { PayloadContent: [root, scep, mdm] }));
  }

  readonly #handlers: Record<string, Handler> = {
    '/link': () => this.#profileResponse(),
    '/scep': (request, body) => this.#scep(new URL(request.url), body),
    '/mdm/checkin': (request, body) => this.#checkIn(this.#verified(request, body)),
    '/mdm/connect': (request, body) => this.#connect(this.#verified(request, body)),
    '/enroll/watch': (_request, body) => this.#enroll(readDict(open(body).content)),
    '/assets': (request) => {
      const asset = this.assets.get(new URL(request.url).pathname);
      const headers = { 'content-type': asset?.type ?? 'text/plain' };
      return new Response(Uint8Array.from(asset?.data ?? []), {
        status: asset === undefined ? 404 : 200,
        headers,
      });
    },
  };

  #profileResponse(): Response {
    return respond(this.profile(), 'application/x-apple-aspen-config');
  }

  #verified(request: Request, body: Buffer): PlistDict {
    const cms = Buffer.from(request.headers.get('mdm-signature') ?? '', 'base64');
    const { signer } = open(cms, { content: body });
    const document = readDict(body);
    const named = readName(signer.subject).get(OID.commonName) === document['UDID'];
    if (!signer.issuedBy(this.ca) || !named) throw new Error('the signer is not this device');
    this.messages.push(document);
    return document;
  }

  #checkIn(message: PlistDict): Response {
    switch (message['MessageType']) {
      case 'GetToken': {
        const { SecurityToken: token } = message['TokenParameters'] as PlistDict;
        return respond(writePlist({ TokenData: Buffer.from(`paired ${String(token)}`) }), 'application/xml');
      }
      case 'DeclarativeManagement':
        return this.#declarative(String(message['Endpoint']), message['Data']);
      default:
        return new Response(null);
    }
  }

  #connect(message: PlistDict): Response {
    const uuid = message['CommandUUID'];
    if (typeof uuid === 'string') {
      this.results.push(message);
      if (message['Status'] !== 'NotNow') this.queue.delete(uuid);
    }
    if (message['Status'] === 'Idle') this.#deferred.clear();
    if (message['Status'] === 'NotNow') this.#deferred.add(String(uuid));
    const next = [...this.queue].find(([waiting]) => !this.#deferred.has(waiting));
    if (next === undefined) return new Response(null);
    return respond(writePlist({ CommandUUID: next[0], Command: next[1] }), 'application/xml; charset=UTF-8');
  }

  #declarative(endpoint: string, data: unknown): Response {
    if (endpoint === 'tokens') {
      return json({
        SyncTokens: { Timestamp: '2026-01-31T12:00:00Z', DeclarationsToken: this.declarationsToken },
      });
    }
    if (endpoint === 'status') {
      this.reports.push(JSON.parse(String(data)));
      return new Response(null);
    }
    if (endpoint === 'declaration-items') {
      const of = (kind: string) =>
        this.declarations
          .filter((one) => one.kind === kind)
          .map(({ document: { Identifier, ServerToken } }) => ({ Identifier, ServerToken }));
      const kinds = { Activations: of('activation'), Configurations: of('configuration') };
      const Declarations = { ...kinds, Assets: of('asset'), Management: of('management') };
      return json({ Declarations, DeclarationsToken: this.declarationsToken });
    }
    const [, kind, identifier] = endpoint.split('/');
    const found = this.declarations.find(
      (one) => one.kind === kind && one.document.Identifier === identifier,
    );
    return found === undefined ? new Response(null, { status: 404 }) : json(found.document);
  }

  #enroll(machineInfo: PlistDict): Response {
    const token = machineInfo['PAIRING_TOKEN'];
    if (token?.toString().startsWith('paired ')) return this.#profileResponse();
    const code = 'com.apple.watch.pairing.token.missing';
    const details = { 'security-token': '6C0B7C53-3E0B-4E3D-9E0E-0D3A6A1F5E11' };
    return json({ code, description: 'pairing token required', details }, 403);
  }

  #scep(url: URL, body: Buffer): Response {
    const operation = url.searchParams.get('operation');
    if (operation === 'GetCACaps')
      return respond(Buffer.from('POSTPKIOperation\nAES\nDES3\nSHA-256\nSHA-1'), 'text/plain');
    if (operation === 'GetCACert') return respond(this.ca.der, 'application/x-x509-ca-cert');
    const inUrl = Buffer.from((url.searchParams.get('message') ?? '').replaceAll(' ', '+'), 'base64');
    const request = open(body.length > 0 ? body : inUrl);
    const { content: csr, cipher } = openEnvelope(request.content, this.ca, this.key);
    const certificate = this.#issue(csr);
    const inner = sequence(integer(1), set(), sequence(oid(CMS.data)), tlv(0xa0, certificate), set());
    const degenerate = sequence(oid(CMS.signedData), context(0, inner));
    const envelope = envelop(degenerate, { recipient: request.signer, cipher });
    const echo = (name: string) => request.attributes.get(SCEP_ATTRIBUTE + name)?.body ?? Buffer.alloc(0);
    const reply = sign(envelope, {
      key: this.key,
      certificate: this.ca,
      hash: request.hash,
      attributes: [
        [`${SCEP_ATTRIBUTE}2`, printable('3')],
        [`${SCEP_ATTRIBUTE}3`, printable('0')],
        [`${SCEP_ATTRIBUTE}5`, octetString(randomBytes(16))],
        [`${SCEP_ATTRIBUTE}6`, octetString(echo('5'))],
        [`${SCEP_ATTRIBUTE}7`, printable(echo('7').toString())],
      ],
    });
    return respond(reply, 'application/x-pki-message');
  }

  /** Subject `CN=<udid>`: whoever asked last by name; a stand-in serves one device at a time. */
  udid = '';

  #issue(csr: Buffer): Buffer {
    const info = child(read(csr), 0);
    const challenge = child(info, 3).children.find((one) => oidText(child(one, 0)) === OID.challengePassword);
    if (challenge !== undefined && child(child(challenge, 1), 0).body.toString() !== 'open sesame') {
      throw new Error('wrong challenge');
    }
    return issueCertificate({
      serial: randomBytes(8),
      subject: [[OID.commonName, this.udid]],
      issuer: this.ca.subject,
      spki: child(info, 2).raw,
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 86_400_000,
      signWith: this.key,
    });
  }
}

function respond(body: Uint8Array, type: string, status = 200): Response {
  return new Response(Uint8Array.from(body), { status, headers: { 'content-type': type } });
}

function json(value: unknown, status = 200): Response {
  return respond(Buffer.from(JSON.stringify(value)), 'application/json', status);
}
