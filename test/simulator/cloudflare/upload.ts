/** The multipart body in which a Worker comes: only its metadata is read, as the API documents it. */

export interface Binding {
  readonly type: string;
  readonly name: string;
  readonly [field: string]: unknown;
}

export interface Upload {
  readonly bindings: readonly Binding[];
  readonly migrations: { readonly old_tag?: string; readonly new_tag?: string } | null;
}

export function readUpload({ type, body }: { readonly type: string; readonly body: Uint8Array }): Upload {
  const boundary = /boundary="?([^";]+)/.exec(type)?.[1] ?? '';
  const parts = Buffer.from(body).toString('latin1').split(`--${boundary}`);
  const part = parts.find((text: string) => /name="metadata"/.test(text)) ?? '\r\n\r\n{}';
  const metadata = JSON.parse(part.slice(part.indexOf('\r\n\r\n')));
  return { bindings: metadata.bindings ?? [], migrations: metadata.migrations ?? null };
}
