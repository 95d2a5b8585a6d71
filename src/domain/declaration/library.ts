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
  PutDeclaration,
  PutRefusal,
  RemoveRefusal,
  TouchRefusal,
} from '../admin/declaration-services.ts';
import { isFulfilled, type Precondition } from '../admin/precondition.ts';
import type { PageQuery } from '../admin/services.ts';
import { mistyped } from './asset-types.ts';
import { type DeclarationDraft, type DeclarationInput, parseDraft, parseOwnIdentifier } from './draft.ts';
import type { Change, DueManifests } from './due.ts';
import type { AssignedDeclaration, LibraryStore, StoredDeclaration } from './library-ports.ts';
import type { DeclarationKind } from './manifest.ts';
import type { RenderedDeclarations, Sha256Hex } from './ports.ts';
import type { Reference } from './references.ts';
import { serverTokenOf } from './server-token.ts';
import type { SealedUpload } from './upload-ports.ts';

export interface LibraryOptions {
  readonly store: LibraryStore;
  readonly rendered: RenderedDeclarations;
  readonly due: DueManifests;
  readonly sha256Hex: Sha256Hex;
  readonly newUuid: () => string;
}

/** What an upload brings to the declaration that tells of it. */
export interface DeclarationUpload {
  readonly row: SealedUpload;
  /** The server token under which the stored data was read, to compare with; null when there was none. */
  readonly basedOn: string | null;
  /** For data that is not what is stored. Null keeps the token that there is, if the payload is the same too. */
  readonly salt: string | null;
}

type Put = Outcome<PutDeclaration, PutRefusal>;
type Hindrance = Exclude<PutRefusal, { readonly kind: 'precondition-failed' }>;

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

  async put(name: string, input: DeclarationInput, precondition: Precondition, nowMs: EpochMs): Promise<Put> {
    const draft = await parseDraft(name, input);
    return draft.ok ? this.#put(draft.value, null, precondition, nowMs) : draft;
  }

  /** The declaration of an upload, and its data with it. */
  async putUpload(
    name: string,
    input: DeclarationInput,
    upload: DeclarationUpload,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Put> {
    const draft = await parseDraft(name, input);
    return draft.ok ? this.#put(draft.value, upload, precondition, nowMs) : draft;
  }

  async #put(
    draft: DeclarationDraft,
    upload: DeclarationUpload | null,
    precondition: Precondition,
    nowMs: EpochMs,
  ): Promise<Put> {
    const current = await this.#options.store.find(draft.identifier);
    // The data that was compared is not that of this declaration any more.
    if (upload !== null && upload.basedOn !== (current?.uploaded ? current.serverToken : null))
      return refuse({ kind: 'precondition-failed' });
    const salt = upload?.salt ?? current?.salt ?? null;
    const serverToken = await serverTokenOf(draft, salt, this.#options.sha256Hex);
    if (current?.serverToken === serverToken) return ok({ changed: current, created: false, waiting: 0 });
    if (current !== null && upload === null && current.uploaded) return madeByUpload(current.kind);
    if (!isFulfilled(precondition, current?.serverToken ?? null))
      return refuse({ kind: 'precondition-failed' });
    const hindrance = await this.#hindrance(draft, upload, current);
    if (hindrance !== null) return refuse(hindrance);
    const { kind, identifier, type, payload, templated } = draft;
    const uploaded = upload !== null;
    const content = { kind, identifier, type, payload, templated };
    const next = { ...content, serverToken, salt, uploaded, updatedAtMs: nowMs };
    const written = await this.#write(next, targetsOf(draft), current, upload?.row);
    return written.ok ? ok({ changed: next, created: current === null, waiting: written.value }) : written;
  }

  /** What a PUT would store, or why it would not, whatever its precondition. */
  async propose(name: string, input: DeclarationInput): Promise<Outcome<AssignedDeclaration, Hindrance>> {
    const draft = await parseDraft(name, input);
    if (!draft.ok) return draft;
    const { kind, identifier, type, payload, templated } = draft.value;
    const current = await this.#options.store.find(identifier);
    const salt = current?.salt ?? null;
    const proposed = { kind, identifier, type, content: { payload, templated, salt } };
    if (current?.serverToken === (await serverTokenOf(draft.value, salt, this.#options.sha256Hex)))
      return ok(proposed);
    if (current?.uploaded) return madeByUpload(current.kind);
    const hindrance = await this.#hindrance(draft.value, null, current);
    return hindrance === null ? ok(proposed) : refuse(hindrance);
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

  /** `force` leaves a profile on the devices that have it by a command. */
  async remove(
    name: string,
    precondition: Precondition | null,
    force = false,
  ): Promise<Outcome<{ removed: true }, RemoveRefusal>> {
    const identifier = parseOwnIdentifier(name);
    if (!identifier.ok) return identifier;
    const { store } = this.#options;
    const current = await store.find(identifier.value);
    if (current === null) return refuse({ kind: 'unknown-declaration', identifier: identifier.value });
    if (precondition !== null && !isFulfilled(precondition, current?.serverToken ?? null))
      return refuse({ kind: 'precondition-failed' });
    if (await store.remove(identifier.value, current.serverToken, force)) return ok({ removed: true });
    const holders = await store.holders(identifier.value);
    if (holders.declarations.length + holders.sets.length > 0)
      return refuse({ kind: 'still-referenced', holders });
    const devices = force ? 0 : await store.devicesWith(identifier.value);
    return refuse(devices === 0 ? { kind: 'precondition-failed' } : { kind: 'profile-installed', devices });
  }

  /** Why a draft cannot take the place of what is stored. */
  async #hindrance(
    draft: DeclarationDraft,
    upload: DeclarationUpload | null,
    current: StoredDeclaration | null,
  ): Promise<Hindrance | null> {
    const fixed = current === null ? null : fixedBy(current, draft, upload);
    if (fixed !== null) return fixed;
    const missing = await this.#missing(draft.references);
    if (missing.length > 0) return { kind: 'unknown-references', references: missing };
    const types = await this.#options.store.typesOf(targetsOf(draft));
    const wrong = await mistyped(draft, types);
    return wrong.length > 0 ? { kind: 'asset-type-mismatch', references: wrong } : null;
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
    upload: SealedUpload | null = null,
  ): Promise<Outcome<number, { readonly kind: 'precondition-failed' }>> {
    const { store, rendered, due, newUuid } = this.#options;
    const change: Change = { id: newUuid(), atMs: next.updatedAtMs };
    const written =
      current === null
        ? await store.insert(next, targets ?? [], upload)
        : await store.replace(next, targets, current.serverToken, change, upload);
    if (!written) return refuse({ kind: 'precondition-failed' });
    // What each device has a rendering of its own of is rendered when it fetches it.
    if (!next.templated) await rendered.put(next, encodeDeclaration(next));
    return ok(current === null ? 0 : await due.settle(change));
  }
}

function madeByUpload(kind: DeclarationKind) {
  const resource = kind === 'asset' ? 'assets' : 'profiles';
  return refuse({ kind: 'made-by-upload', resource } as const);
}

/** What of a stored declaration no PUT changes. */
function fixedBy(
  current: StoredDeclaration,
  next: DeclarationDraft,
  upload: DeclarationUpload | null,
): Extract<PutRefusal, { kind: 'kind-fixed' | 'type-fixed' }> | null {
  if (current.kind !== next.kind) return { kind: 'kind-fixed', current: current.kind };
  const keepsType = next.kind === 'asset' || upload !== null;
  return keepsType && current.type !== next.type ? { kind: 'type-fixed', current: current.type } : null;
}

function targetsOf(draft: DeclarationDraft): readonly string[] {
  return [...new Set(draft.references.map((one) => one.identifier))];
}
