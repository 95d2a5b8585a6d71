/** Who may know whom (docs of the layers: the left knows nothing of the right), and who may use which package. */
import { posix } from 'node:path';
import { code, type Source } from './source.ts';

const LAYERS = ['std', 'pki', 'protocol', 'domain'];
const leftOf = (layer: string) => LAYERS.slice(0, LAYERS.indexOf(layer) + 1);

/** Layer or root file to what it may import from `src`. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(LAYERS.map((layer) => [layer, leftOf(layer)])),
  durable: [...LAYERS, 'durable', 'config.ts', 'log.ts'],
  storage: [...LAYERS, 'storage', 'config.ts', 'log.ts'],
  push: [...LAYERS, 'push', 'config.ts', 'log.ts'],
  http: [...LAYERS, 'http', 'config.ts', 'log.ts'],
  'config.ts': LAYERS,
  'log.ts': LAYERS,
};
/** The identifiers that messages carry: words, with no knowledge behind them (it imports only `std`). */
const VOCABULARY = 'src/domain/ids.ts';
/** Composition: may import everything. */
const COMPOSITION = [
  ...['index.ts', 'wiring.ts', 'wiring-apps.ts', 'wiring-enrollment.ts'],
  ...['wiring-policy.ts', 'wiring-profiles.ts'],
];

/** Package to the folders that may import it. Anything not named here is refused everywhere. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  jose: ['src/pki/'],
  pkijs: ['src/pki/'],
  asn1js: ['src/pki/'],
  'node:crypto': ['src/pki/'],
  'node:buffer': ['src/pki/'],
  'fast-xml-parser': ['src/protocol/plist/'],
  hono: ['src/http/', 'src/index.ts', 'src/wiring.ts'],
  valibot: ['src/http/admin/', 'src/domain/admin/'],
  'cloudflare:workers': ['src/durable/', 'src/index.ts', 'src/wiring.ts'],
};
/** Large: loaded when first needed, never when an isolate starts. */
const LAZY = ['pkijs', 'asn1js', 'node:crypto'];

const IMPORT =
  /\b(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

export function layerViolations(file: Source): string[] {
  const layer = layerOf(file.path);
  return imports(file).flatMap(({ specifier, lazy, typeOnly }) => {
    if (file.path === VOCABULARY && !specifier.startsWith('../std/')) {
      return [`${file.path} imports ${specifier}: it may know std alone`];
    }
    if (specifier.startsWith('.')) {
      const target = posix.join(posix.dirname(file.path), specifier);
      if (!target.startsWith('src/')) return [`${file.path} imports ${target}, outside src`];
      const allowed =
        COMPOSITION.includes(layer) ||
        (MAY_IMPORT[layer] ?? []).includes(layerOf(target)) ||
        (layer === 'protocol' && target === VOCABULARY);
      return allowed ? [] : [`${file.path} imports ${target}`];
    }
    const name = specifier.startsWith('@') ? specifier : (specifier.split('/')[0] ?? '');
    if (!(PACKAGES[name] ?? []).some((folder) => file.path.startsWith(folder))) {
      return [`${file.path} imports ${specifier}`];
    }
    return LAZY.includes(name) && !lazy && !typeOnly ? [`${file.path} imports ${specifier} at start`] : [];
  });
}

/** The simulator is a stranger to the server: it shares the runtime and nothing else. */
export function strangerViolations(file: Source): string[] {
  return imports(file)
    .map(({ specifier }) => posix.join(posix.dirname(file.path), specifier))
    .filter((target) => target.startsWith('src/'))
    .map((target) => `${file.path} imports ${target}`);
}

interface Import {
  readonly specifier: string;
  readonly lazy: boolean;
  readonly typeOnly: boolean;
}

function imports(file: Source): Import[] {
  return [...code(file.text).matchAll(IMPORT)].map((match) => ({
    specifier: match[1] ?? match[2] ?? '',
    lazy: match[2] !== undefined,
    typeOnly: /^(?:import|export)\s+type\b/.test(match[0]),
  }));
}

/** `src/pki/ber.ts` → `pki`; `src/log.ts` → `log.ts`. */
function layerOf(path: string): string {
  return path.split('/')[1] ?? '';
}
