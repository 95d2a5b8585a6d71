/**
 * The declarations that administrators write. A change is stored by comparing the token it was based on, then
 * rendered at the edge, then brought into the manifest of every device whose sets hold it (due.ts). Saying the same
 * again changes nothing.
 */
import { encodeDeclaration } from '../../protocol/ddm/encode.ts';
import { type Outcome, ok, refuse } from '../../std/outcome.ts';
import type { EpochMs } from '../../std/time.ts';
import type {
  Changed,
  DeclarationFilter,
  DeclarationLibrary,
  DeclarationRecord,
  Precondition,
  PutDeclaration,
  PutRefusal,
  RemoveRefusal,
  TouchRefusal,
} from '../admin/declaration-services.ts';
import type { PageQuery } from '../admin/services.ts';
import { type DeclarationDraft, type DeclarationInput, parseDraft, parseOwnIdentifier } from './draft.ts';
import type { Change, DueManifests } from './due.ts';
import type { LibraryStore, StoredDeclaration } from './library-ports.ts';
import type { RenderedDeclarations, Sha256Hex } from './ports.ts';
import type { Reference } from './references.ts';
import { serverTokenOf } from './server-token.ts';

export interface LibraryOptions {
  readonly store: LibraryStore;
  readonly rendered: RenderedDeclarations;
  readonly due: DueManifests;
  readonly sha256Hex: Sha256Hex;
  readonly newUuid: () => string;
}

export class Declarations implements DeclarationLibrary {
  readonly #options: LibraryOptions;

  constructor(options: LibraryOptions) {
    this.#options = options;
  }

  list(filter: DeclarationFilter, page: PageQuery) {
    return this.#options.store.list(filter, page);
  }

  find(identifier: string): Promise<DeclarationRecord | null> {
    return this.#options.store.find(identifier);
  }

  async put(
    name: string,
    input: DeclarationInput,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Outcome<PutDeclaration, PutRefusal>> {
    const draft = await parseDraft(name, input);
    if (!draft.ok) return draft;
    const current = await this.#options.store.find(draft.value.identifier);
    const salt = current?.salt ?? null;
    const serverToken = await serverTokenOf(draft.value, salt, this.#options.sha256Hex);
    if (current?.serverToken === serverToken) return ok({ changed: current, created: false, waiting: 0 });
    if (!holds(precondition, current)) return refuse({ kind: 'precondition-failed' });
    if (current !== null && current.kind !== draft.value.kind)
      return refuse({ kind: 'kind-fixed', current: current.kind });
    const missing = await this.#missing(draft.value.references);
    if (missing.length > 0) return refuse({ kind: 'unknown-references', references: missing });
    const { kind, identifier, type, payload, templated } = draft.value;
    const next = { kind, identifier, type, payload, templated, serverToken, salt, updatedAtMs: nowMs };
    const written = await this.#write(next, targetsOf(draft.value), current);
    return written.ok ? ok({ changed: next, created: current === null, waiting: written.value }) : written;
  }

  async touch(name: string, nowMs: EpochMs): Promise<Outcome<Changed<DeclarationRecord>, TouchRefusal>> {
    const identifier = parseOwnIdentifier(name);
    if (!identifier.ok) return identifier;
    const current = await this.#options.store.find(identifier.value);
    if (current === null) return refuse({ kind: 'unknown-declaration', identifier: identifier.value });
    const salt = this.#options.newUuid();
    const serverToken = await serverTokenOf(current, salt, this.#options.sha256Hex);
    const next = { ...current, salt, serverToken, updatedAtMs: nowMs };
    const written = await this.#write(next, null, current);
    return written.ok ? ok({ changed: next, waiting: written.value }) : written;
  }

  async remove(
    name: string,
    precondition: Precondition | null,
  ): Promise<Outcome<{ removed: true }, RemoveRefusal>> {
    const identifier = parseOwnIdentifier(name);
    if (!identifier.ok) return identifier;
    const { store } = this.#options;
    const current = await store.find(identifier.value);
    if (current === null) return refuse({ kind: 'unknown-declaration', identifier: identifier.value });
    if (precondition !== null && !holds(precondition, current))
      return refuse({ kind: 'precondition-failed' });
    if (await store.remove(identifier.value, current.serverToken)) return ok({ removed: true });
    const holders = await store.holders(identifier.value);
    const free = holders.declarations.length + holders.sets.length === 0;
    return refuse(free ? { kind: 'precondition-failed' } : { kind: 'still-referenced', holders });
  }

  async #missing(references: readonly Reference[]): Promise<readonly Reference[]> {
    const kinds = await this.#options.store.kindsOf([...new Set(references.map((one) => one.identifier))]);
    return references.filter((one) => kinds.get(one.identifier) !== one.kind);
  }

  /** How many devices are left to the background. `targets` is null when what it refers to stays as it is. */
  async #write(
    next: StoredDeclaration,
    targets: readonly string[] | null,
    current: StoredDeclaration | null,
  ): Promise<Outcome<number, { readonly kind: 'precondition-failed' }>> {
    const { store, rendered, due, newUuid } = this.#options;
    const change: Change = { id: newUuid(), atMs: next.updatedAtMs };
    const written =
      current === null
        ? await store.insert(next, targets ?? [])
        : await store.replace(next, targets, current.serverToken, change);
    if (!written) return refuse({ kind: 'precondition-failed' });
    // What each device has a rendering of its own of is rendered when it fetches it.
    if (!next.templated) await rendered.put(next, encodeDeclaration(next));
    return ok(current === null ? 0 : await due.settle(change));
  }
}

function targetsOf(draft: DeclarationDraft): readonly string[] {
  return [...new Set(draft.references.map((one) => one.identifier))];
}

function holds(precondition: Precondition, current: StoredDeclaration | null): boolean {
  switch (precondition.kind) {
    case 'absent':
      return current === null;
    case 'present':
      return current !== null;
    default:
      return current !== null && precondition.tokens.includes(current.serverToken);
  }
}
