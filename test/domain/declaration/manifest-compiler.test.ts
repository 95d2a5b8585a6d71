/** The manifest compiler: who is told, in what order changes count, and what one deaf device does to the others. */
import { describe, expect, it } from 'vitest';
import type { Assigned, AssignedDeclaration } from '../../../src/domain/declaration/library-ports.ts';
import type { ManifestEntry } from '../../../src/domain/declaration/manifest.ts';
import { ManifestCompiler } from '../../../src/domain/declaration/manifest-compiler.ts';
import { NO_PROPERTIES } from '../../../src/domain/declaration/properties.ts';
import type { Device, DeviceDescription } from '../../../src/domain/enrollment/device.ts';
import type { Udid } from '../../../src/domain/ids.ts';
import { sha256Hex } from '../../../src/pki/digest.ts';
import { Unavailable } from '../../../src/std/outcome.ts';
import { epochMs } from '../../../src/std/time.ts';
import { udid } from '../../support/pairing.ts';

const NOW = epochMs(0);
const NAME = udid('DEVICE-0001');
const declaration = (identifier: string, serverToken = 't1'): AssignedDeclaration => {
  const type = 'com.apple.configuration.management.test';
  return { kind: 'configuration', identifier, type, content: { serverToken } };
};

/** Devices that keep what they are given, and one table of assignments. */
class Fleet {
  readonly held = new Map<Udid, readonly ManifestEntry[]>();
  readonly told: Udid[] = [];
  assigned: readonly AssignedDeclaration[] = [];
  atOnce = 0;
  most = 0;
  reads = 0;
  deaf: Udid | null = null;
  readonly missed: unknown[] = [];
  whileTelling: () => Promise<void> = async () => undefined;

  compiler(): ManifestCompiler {
    return new ManifestCompiler({
      devices: { of: (name) => this.#device(name) as Device },
      source: { assigned: (asked) => this.#read(asked) },
      sha256Hex,
      onMissed: (_, error) => this.missed.push(error),
    });
  }

  async #read(asked: readonly Udid[]): Promise<Map<Udid, Assigned>> {
    this.reads += 1;
    const { assigned } = this;
    await Promise.resolve();
    const each: Assigned = {
      memberships: [{ set: 's', group: null, percent: 100 }],
      sets: new Map([['s', assigned]]),
      watchEnrollment: [],
      properties: NO_PROPERTIES,
      subscriptions: new Map([['watchOS', []]]),
    };
    return new Map(asked.map((name) => [name, each]));
  }

  #device(name: Udid): Partial<Device> {
    return {
      describe: async () => {
        if (name === this.deaf) throw new Unavailable('deaf', 'no answer');
        const declarations = (this.held.get(name) ?? []).map((one) => ({
          ...one,
          fetched: true,
          status: null,
        }));
        return {
          platform: 'watchOS',
          osVersion: '26.1',
          capabilities: null,
          declarations,
        } as unknown as DeviceDescription;
      },
      setManifest: async (entries) => {
        this.most = Math.max(this.most, ++this.atOnce);
        await this.whileTelling();
        this.atOnce -= 1;
        this.held.set(name, entries);
        this.told.push(name);
        return true;
      },
    };
  }
}

describe('the manifest compiler', () => {
  it('gives a device the union, each once, in one order', async () => {
    const fleet = new Fleet();
    fleet.assigned = [declaration('b'), declaration('a'), declaration('b')];
    await fleet.compiler().hold([NAME], NOW);
    expect(fleet.held.get(NAME)?.map((entry) => entry.identifier)).toEqual(['a', 'b']);
  });

  it('leaves a device alone that holds nothing and is to hold nothing', async () => {
    const fleet = new Fleet();
    await fleet.compiler().hold([NAME], NOW);
    expect(fleet.told).toEqual([]);
  });

  it('ends with what was assigned last, though an older manifest was handed over after a newer one', async () => {
    const fleet = new Fleet();
    const compiler = fleet.compiler();
    fleet.assigned = [declaration('a', 'old')];
    let calls = 0;
    fleet.whileTelling = async () => {
      if (++calls !== 1) return;
      fleet.assigned = [declaration('a', 'new')];
      await compiler.hold([NAME], NOW);
    };
    await compiler.hold([NAME], NOW);
    expect(fleet.held.get(NAME)).toEqual([{ kind: 'configuration', identifier: 'a', serverToken: 'new' }]);
  });

  it('gives up while others keep changing the same device, and says so', async () => {
    const fleet = new Fleet();
    let n = 1;
    fleet.whileTelling = async () => {
      fleet.assigned = [declaration('a', `t${++n}`)];
    };
    fleet.assigned = [declaration('a')];
    expect(await fleet.compiler().hold([NAME], NOW)).toEqual([NAME]);
    expect(fleet.missed).toEqual([expect.any(Unavailable)]);
    await expect(fleet.compiler().holdOne(NAME, NOW)).rejects.toThrow(Unavailable);
  });

  it('tells 500 devices, some at a time, with reads that do not grow with each device', async () => {
    const fleet = new Fleet();
    fleet.assigned = [declaration('a')];
    fleet.whileTelling = () => new Promise((resolve) => setTimeout(resolve, 0));
    const names = Array.from({ length: 500 }, (_, i) => udid(`DEVICE-${1000 + i}`));
    await fleet.compiler().hold(names, NOW);
    expect(fleet.told.toSorted()).toEqual(names);
    expect(fleet.most).toBeGreaterThan(1);
    expect(fleet.most).toBeLessThanOrEqual(16);
    expect(fleet.reads).toBeLessThanOrEqual(20);
  });

  it('tells the others when one does not answer, and says so', async () => {
    const fleet = new Fleet();
    fleet.assigned = [declaration('a')];
    const names = Array.from({ length: 120 }, (_, i) => udid(`DEVICE-${1000 + i}`));
    fleet.deaf = names[3] as Udid;
    expect(await fleet.compiler().hold(names, NOW)).toEqual([fleet.deaf]);
    expect(String(fleet.missed[0])).toContain('no answer');
    expect(fleet.told.toSorted()).toEqual(names.filter((name) => name !== fleet.deaf));
    fleet.deaf = null;
    await fleet.compiler().hold(names, NOW);
    expect(fleet.held.size).toBe(names.length);
  });
});
