/**
 * How an iPhone gets its enrollment profile (design sections 4 and 6): by its own signed MachineInfo when an
 * administrator expects its serial number, or by a one-time link that an administrator made for it.
 *
 * MachineInfo identifies and does not prove (facts 19.11): whoever has a device key that circulates in public names
 * any UDID beside a serial number that is listed. So a listing admits one device, once: it is bound to the first UDID
 * that asks, never reaches an enrollment with another serial number, and replaces none that is as new as itself. The
 * device's own object holds the same when the certificate Authenticates.
 *
 * A link is taken before its credential is minted: if minting fails the link is spent, never doubled.
 */
import type { Bytes } from '../../std/bytes.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { LinkRefusal, TakenLink, TakeOutcome } from '../identity/one-time-link.ts';
import type { CredentialMint, CredentialSubject } from '../identity/ports.ts';
import type {
  DeviceInfo,
  EnrollmentStandings,
  ExpectedSerials,
  ListingRefusal,
  MachineInfoRefusal,
  MachineInfoVerifier,
  ProfileBuilder,
  ProfileSigner,
} from './ports.ts';

export type PhoneEnrollRefusal =
  | MachineInfoRefusal
  | { readonly kind: 'not-a-phone'; readonly product: string }
  | ListingRefusal
  /** The UDID is that of an enrollment, live or ended, with the serial number `known`. */
  | {
      readonly kind: 'serial-mismatch';
      readonly udid: string;
      readonly serial: string;
      readonly known: string;
    }
  /** It enrolled since its serial number was listed. */
  | { readonly kind: 'already-enrolled'; readonly udid: string; readonly serial: string };

export interface PhoneEnrollmentPorts {
  readonly machineInfo: MachineInfoVerifier;
  readonly expected: ExpectedSerials;
  readonly standings: EnrollmentStandings;
  readonly links: { take(code: string, nowMs: EpochMs): Promise<TakeOutcome> };
  readonly mint: CredentialMint;
  readonly profiles: ProfileBuilder;
  readonly signer: ProfileSigner;
}

export class PhoneEnrollment {
  readonly #ports: PhoneEnrollmentPorts;

  constructor(ports: PhoneEnrollmentPorts) {
    this.#ports = ports;
  }

  /** A phone's signed MachineInfo, as Automated Device Enrollment sends it. */
  async enroll(
    cms: Bytes,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly device: DeviceInfo; readonly profile: Bytes }, PhoneEnrollRefusal>> {
    const verified = await this.#ports.machineInfo.verify(cms, nowMs);
    if (!verified.ok) return verified;
    const device = verified.value;
    const { udid, serial, product } = device;
    if (!product.startsWith('iPhone')) return refuse({ kind: 'not-a-phone', product });
    const listing = await this.#useListing(device);
    if (!listing.ok) return listing;
    const origin = { kind: 'expected-serial', listedAtMs: listing.value.listedAtMs } as const;
    const profile = await this.#profile({ udid, serial, platform: 'iOS', origin }, nowMs);
    return ok({ device, profile });
  }

  /** The serial numbers are compared before the listing is bound: another's UDID must not use up this one's. */
  async #useListing({
    udid,
    serial,
  }: DeviceInfo): Promise<Outcome<{ readonly listedAtMs: EpochMs }, PhoneEnrollRefusal>> {
    const { expected, standings } = this.#ports;
    if (!(await expected.isExpected(serial))) return refuse({ kind: 'serial-not-expected', serial });
    const standing = await standings.standing(udid);
    if (standing.kind !== 'unknown' && standing.serial !== serial) {
      return refuse({ kind: 'serial-mismatch', udid, serial, known: standing.serial });
    }
    const bound = await expected.bind(serial, udid);
    if (!bound.ok) return bound;
    if (standing.kind === 'live' && standing.startedAtMs >= bound.value.listedAtMs) {
      return refuse({ kind: 'already-enrolled', udid, serial });
    }
    return bound;
  }

  /** The profile behind a link, once. */
  async takeLink(
    code: string,
    nowMs: EpochMs,
  ): Promise<Outcome<{ readonly link: TakenLink; readonly profile: Bytes }, LinkRefusal>> {
    const taken = await this.#ports.links.take(code, nowMs);
    if (!taken.ok) return taken;
    const { udid, serial, platform, signed, linkId } = taken.value;
    const profile = await this.#profile({ udid, serial, platform, origin: { kind: 'link', linkId } }, nowMs);
    return ok({ link: taken.value, profile: signed ? await this.#ports.signer.sign(profile) : profile });
  }

  async #profile(subject: CredentialSubject, nowMs: EpochMs): Promise<Bytes> {
    const { challenge } = await this.#ports.mint.mint(subject, nowMs);
    return this.#ports.profiles.build(subject, challenge);
  }
}
