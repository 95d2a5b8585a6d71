/**
 * Rules about what code may say and where. Each returns `path:line what` for what breaks it. They read text, so a
 * determined author can get round them; they are there for the one who forgot.
 */
import { code, codeWithoutStrings, matches, type Source } from './source.ts';

export interface Rule {
  readonly name: string;
  violations(file: Source): string[];
  /** Files that break it: the rule is only worth having if it says so. */
  readonly bad: readonly Source[];
  readonly good: readonly Source[];
}

const file = (path: string, text: string): Source => ({ path, text });
const within = (source: Source, ...folders: string[]) => folders.some((f) => source.path.startsWith(f));

export const rules: readonly Rule[] = [
  {
    name: 'a verified device is constructed in one file',
    violations: (source) =>
      source.path.endsWith('/device-verifier.ts')
        ? []
        : matches(source.path, codeWithoutStrings(source.text), /new VerifiedDevice\b/),
    bad: [file('src/http/mdm/routes.ts', 'const device = new VerifiedDevice(udid, digest);')],
    good: [
      file('src/http/mdm/routes.ts', '// only the verifier says new VerifiedDevice(…)'),
      file('src/domain/identity/device-verifier.ts', 'return ok(new VerifiedDevice(udid, digest));'),
    ],
  },
  {
    name: 'privacy is a # field, never the keyword',
    violations: ({ path, text }) => matches(path, codeWithoutStrings(text), /\bprivate\b(?!\s*:)/),
    bad: [file('src/durable/a.ts', 'class A {\n  private x = 1;\n}')],
    good: [file('src/durable/a.ts', "// a private matter\nconst s = 'private';")],
  },
  {
    name: 'protocol and domain read no clock and no randomness',
    violations: (source) =>
      within(source, 'src/protocol/', 'src/domain/')
        ? matches(
            source.path,
            code(source.text),
            /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bMath\.random\b|\bcrypto\.(?:getRandomValues|randomUUID)\b|pki\/random\.ts/,
          )
        : [],
    bad: [
      file('src/domain/a.ts', 'const now = Date.now();'),
      file('src/domain/a.ts', 'const now = new Date();'),
      file('src/protocol/a.ts', 'const id = crypto.randomUUID();'),
      file('src/protocol/a.ts', 'const r = Math.random();'),
      file('src/domain/a.ts', "import { randomBytes } from '../pki/random.ts';"),
    ],
    good: [
      file('src/domain/a.ts', 'const at = new Date(nowMs); // not Date.now()'),
      file('src/http/a.ts', 'Date.now()'),
    ],
  },
  {
    name: 'SQL is only in durable and storage',
    violations: (source) =>
      within(source, 'src/durable/', 'src/storage/')
        ? []
        : matches(
            source.path,
            code(source.text),
            /\b(?:SELECT\s[^;]*?\sFROM|INSERT\s(?:OR \w+ )?INTO|UPDATE\s\w+\sSET|DELETE\sFROM|CREATE\s(?:TABLE|INDEX))\b/,
          ),
    bad: [
      file('src/http/a.ts', "db.prepare('SELECT udid FROM devices')"),
      file('src/domain/a.ts', 'const q = `INSERT OR IGNORE INTO devices VALUES (?)`;'),
      file('src/index.ts', "'UPDATE devices SET state = ?'"),
    ],
    good: [file('src/storage/d1/a.ts', "'SELECT 1 FROM a'"), file('src/http/a.ts', '// SELECT x FROM y')],
  },
  {
    name: 'the buffer of a view is never used without its offset',
    violations: ({ path, text }) => {
      const lines = codeWithoutStrings(text).split('\n');
      return lines.flatMap((line, at) =>
        /\.buffer\b/.test(line) && !/byteOffset/.test(line + (lines[at + 1] ?? ''))
          ? [`${path}:${at + 1} ${line.trim()}`]
          : [],
      );
    },
    bad: [file('src/pki/a.ts', 'const view = new DataView(bytes.buffer);')],
    good: [file('src/pki/a.ts', 'const view = new DataView(b.buffer, b.byteOffset, b.byteLength);')],
  },
  {
    name: 'cryptography is only in pki',
    violations: (source) =>
      within(source, 'src/pki/')
        ? []
        : matches(
            source.path,
            code(source.text),
            /\bcrypto\.(?:subtle|getRandomValues|randomUUID)\b|\bsubtle\.\w+|['"]node:crypto['"]/,
          ),
    bad: [
      file('src/domain/a.ts', "await crypto.subtle.digest('SHA-256', bytes)"),
      file('src/durable/a.ts', 'crypto.randomUUID()'),
      file('src/http/a.ts', "process.getBuiltinModule('node:crypto')"),
    ],
    good: [
      file('src/pki/a.ts', 'crypto.subtle.verify()'),
      file('src/http/a.ts', '// crypto.subtle is elsewhere'),
    ],
  },
  {
    name: 'only http/body.ts reads a body',
    violations: (source) =>
      within(source, 'src/http/') && source.path !== 'src/http/body.ts'
        ? matches(
            source.path,
            codeWithoutStrings(source.text),
            /\.(?:arrayBuffer|text|json|formData|blob|bytes|parseBody)\(\s*\)|\b(?:request|req|raw)\.body\b/,
          )
        : [],
    bad: [
      file('src/http/admin/a.ts', 'const body = await c.req.json();'),
      file('src/http/mdm/a.ts', 'const body = await c.req.raw.arrayBuffer();'),
      file('src/http/mdm/a.ts', 'for await (const chunk of request.body) {}'),
    ],
    good: [
      file('src/http/body.ts', 'request.body'),
      file('src/http/admin/a.ts', 'return c.json({ state });'),
    ],
  },
  {
    name: 'a refusal table covers every refusal',
    violations: ({ path, text }) =>
      path.startsWith('src/http/') && path.endsWith('/refusals.ts') && !code(text).includes('satisfies never')
        ? [`${path} has no switch that ends in satisfies never`]
        : [],
    bad: [file('src/http/scep/refusals.ts', 'export const status = 400; // satisfies never')],
    good: [file('src/http/scep/refusals.ts', 'default: return refusal satisfies never;')],
  },
  {
    name: 'nothing that a device may hear unenrolls it',
    violations: (source) => {
      const forAdministrators = within(source, 'src/http/admin/', 'src/http/compat/', 'src/domain/admin/');
      const pattern = forAdministrators
        ? /com\.apple\.unrecognized\.device/
        : /com\.apple\.unrecognized\.device|\b401\b/;
      return matches(source.path, code(source.text), pattern);
    },
    bad: [
      file('src/http/mdm/a.ts', 'return c.body(null, 401);'),
      file('src/http/enroll/a.ts', "{ code: 'com.apple.unrecognized.device' }"),
      file('src/http/admin/a.ts', "{ code: 'com.apple.unrecognized.device' }"),
    ],
    good: [
      file('src/http/mdm/a.ts', '// never 401, never com.apple.unrecognized.device'),
      file('src/http/admin/a.ts', 'return c.json(problem, 401);'),
    ],
  },
  {
    name: 'the bindings are named only where the Worker is put together',
    violations: ({ path, text }) =>
      /^src\/(?:index|wiring|config)\.ts$|^src\/durable\/[^/]+\/object\.ts$/.test(path)
        ? []
        : matches(path, codeWithoutStrings(text), /\bEnv\b(?!\w)|\bcloudflareEnv\b/),
    bad: [file('src/http/mdm/routes.ts', 'type Bindings = { Bindings: Env };')],
    good: [file('src/durable/device/object.ts', 'class DeviceObject extends DurableObject<Env> {}')],
  },
  {
    name: 'a file stays readable in one sitting',
    violations: ({ path, text }) => {
      const lines = text.split('\n').length - 1;
      return lines > LINES_MAX ? [`${path} has ${lines} lines`] : [];
    },
    bad: [file('src/a.ts', '\n'.repeat(401))],
    good: [file('src/a.ts', '\n'.repeat(400))],
  },
];

/** A file this long holds two ideas. */
const LINES_MAX = 400;
