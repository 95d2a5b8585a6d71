/** What the admin API needs to show an iPhone and its watch as one, and what became of either before. */
import type { Outcome } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type { EnrollmentEnd, PresumedEnd } from '../enrollment/ending.ts';
import type { Platform, SerialNumber, Udid } from '../ids.ts';
import type { MalformedCursor, Page, PageQuery } from './services.ts';

export interface EnrollmentRecord {
  readonly enrollmentId: string;
  readonly serial: SerialNumber;
  readonly platform: Platform;
  /** Of a watch: the iPhone and the pairing that it enrolled by. */
  readonly phone: Udid | null;
  readonly pairingId: string | null;
  readonly startedAtMs: EpochMs;
  readonly enrolledAtMs: EpochMs | null;
  /** Null while it lasts, as far as the device has told. */
  readonly ended: EnrollmentEnd | null;
  readonly endedAtMs: EpochMs | null;
  /** The device acknowledged a command that ends an enrollment. */
  readonly presumedEnd: PresumedEnd | null;
}

export interface EnrollmentHistoryReader {
  /** Newest first; kept for ever. */
  list(udid: Udid, page: PageQuery): Promise<Outcome<Page<EnrollmentRecord>, MalformedCursor>>;
}
