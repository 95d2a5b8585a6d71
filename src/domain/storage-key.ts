/**
 * The deployment's storage key, which what is secret at rest is sealed with, and the knowledge whether it is the one
 * that was used so far. The first key leaves a mark in the fleet's records; one that does not open it is another.
 *
 * With another key nothing is sealed, and what does not open is not taken for damaged: both are `Unavailable`, so that
 * a deployment with a wrong key loses nothing and mixes nothing in, and goes on where it was once the right one is back.
 * What opens needs no mark: no other key could have sealed it.
 */
import { fingerprintSecret, openSecret, type SealKey, sealSecret } from '../pki/seal.ts';
import { type Bytes, utf8 } from '../std/bytes.ts';
import { Unavailable } from '../std/outcome.ts';

export interface KeyMarks {
  /** Null when no key left one. */
  find(): Promise<Bytes | null>;
  /** Leaves this mark unless there is one, and returns the one that is there. Atomic. */
  leave(mark: Bytes): Promise<Bytes>;
}

const MARK = 'storage-key';

export class StorageKey {
  readonly #key: SealKey;
  readonly #marks: KeyMarks;
  #isKnown = false;

  constructor(key: SealKey, marks: KeyMarks) {
    this.#key = key;
    this.#marks = marks;
  }

  async seal(plain: Bytes, context: string): Promise<Bytes> {
    await this.#confirm();
    return sealSecret(this.#key, plain, context);
  }

  /** Null when it is damaged, or was sealed for something else. */
  async open(sealed: Bytes, context: string): Promise<Bytes | null> {
    const opened = await openSecret(this.#key, sealed, context);
    if (opened.ok) return opened.value;
    await this.#confirm();
    return null;
  }

  async fingerprint(plain: Bytes, context: string): Promise<string> {
    await this.#confirm();
    return fingerprintSecret(this.#key, plain, context);
  }

  /** Asked once an isolate, unless it fails. Not awaited together: one request must not wait for another's. */
  async #confirm(): Promise<void> {
    if (this.#isKnown) return;
    const mark = (await this.#marks.find()) ?? (await this.#marks.leave(await this.#newMark()));
    const opened = await openSecret(this.#key, mark, MARK);
    if (!opened.ok)
      throw new Unavailable('storage-key', 'STORAGE_KEY is not the key that this deployment has sealed with');
    this.#isKnown = true;
  }

  #newMark(): Promise<Bytes> {
    return sealSecret(this.#key, utf8(MARK), MARK);
  }
}
