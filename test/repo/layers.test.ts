import { describe, expect, it } from 'vitest';
import { layerViolations, strangerViolations } from './layers.ts';
import { listSources, source } from './source.ts';

describe('the layers of src', () => {
  it('import only from the left, and packages only where they belong', () => {
    expect(listSources('src', '.ts').filter(notGenerated).flatMap(layerViolations)).toEqual([]);
  });

  it.each([
    ['src/std/a.ts', "import { b } from '../pki/b.ts';"],
    ['src/protocol/mdm/a.ts', "import type { B } from '../../domain/enrollment/state.ts';"],
    ['src/domain/ids.ts', "import type { B } from '../protocol/mdm/message.ts';"],
    ['src/domain/pairing/a.ts', "export { b } from '../../durable/b.ts';"],
    ['src/domain/pairing/a.ts', "const b = await import('../../http/b.ts');"],
    ['src/domain/a.ts', "import { log } from '../log.ts';"],
    ['src/storage/d1/a.ts', "import { b } from '../../durable/migrate.ts';"],
    ['src/http/a.ts', "import { b } from '../storage/d1/b.ts';"],
    ['src/http/a.ts', "import { b } from '../wiring.ts';"],
    ['src/pki/a.ts', "import { b } from '../../test/support/b.ts';"],
    ['src/protocol/a.ts', "import { jwtVerify } from 'jose';"],
    ['src/pki/a.ts', "import * as pkijs from 'pkijs';"],
    ['src/pki/a.ts', "import { createHash } from 'node:crypto';"],
    ['src/http/a.ts', "import { createHash } from 'node:crypto';"],
    ['src/protocol/scep/a.ts', "import { XMLParser } from 'fast-xml-parser';"],
    ['src/durable/a.ts', "import { Hono } from 'hono';"],
    ['src/http/a.ts', "import thing from 'left-pad';"],
    ['src/http/a.ts', "import {\n  one,\n  two,\n} from '../durable/b.ts';"],
  ])('refuse in %s: %s', (path, text) => {
    expect(layerViolations(source(path, text))).toHaveLength(1);
  });

  it.each([
    ['src/pki/a.ts', "import { b } from '../std/bytes.ts';\nconst { Certificate } = await import('pkijs');"],
    ['src/pki/a.ts', "import type { Certificate } from 'pkijs';"],
    [
      'src/durable/a.ts',
      "import { DurableObject } from 'cloudflare:workers';\nimport { log } from '../log.ts';",
    ],
    ['src/http/a.ts', "import { Hono } from 'hono/tiny';\n// import { b } from '../durable/b.ts';"],
    ['src/wiring.ts', "import { D1Pairings } from './storage/d1/pairings.ts';"],
  ])('allow in %s: %s', (path, text) => {
    expect(layerViolations(source(path, text))).toEqual([]);
  });
});

describe('the simulator', () => {
  it('shares no code with the server', () => {
    expect(listSources('test/simulator', '.ts').flatMap(strangerViolations)).toEqual([]);
  });

  it('would be caught importing the server', () => {
    const text = "import { parsePlist } from '../../src/protocol/plist/parse.ts';";
    expect(strangerViolations(source('test/simulator/a.ts', text))).toHaveLength(1);
  });
});

function notGenerated(file: { path: string }): boolean {
  return !file.path.endsWith('.d.ts');
}
