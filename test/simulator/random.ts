/**
 * The simulator's dice: mulberry32 from a printed seed, so that a run that went wrong can be run again.
 * Keys, nonces and content-encryption keys are not drawn here; they come from the platform's generator.
 */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number = Math.floor(Math.random() * 2 ** 31)) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [0, below). */
  int(below: number): number {
    return Math.floor(this.next() * below);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  hex(digits: number): string {
    return Array.from({ length: digits }, () => this.int(16).toString(16))
      .join('')
      .toUpperCase();
  }

  uuid(): string {
    const digits = this.hex(32);
    const version = `4${digits.slice(13, 16)}`;
    const variant = `${'89AB'[this.int(4)]}${digits.slice(17, 20)}`;
    return [digits.slice(0, 8), digits.slice(8, 12), version, variant, digits.slice(20)].join('-');
  }

  bytes(count: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: count }, () => this.int(256));
  }

  /** Dice of their own for one device, so that what one does leaves another's sequence alone. */
  fork(): Random {
    return new Random(this.int(2 ** 31));
  }
}
