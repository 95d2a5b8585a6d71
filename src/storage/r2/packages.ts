/** Packages in R2, under their ids. An upload is R2's multipart upload: parts of one size, none of them seen before its end. */
import type { ByteSpan, PackageBucket, PackageWriter } from '../../domain/app/ports.ts';
import { Unavailable } from '../../std/outcome.ts';

const TYPE = { contentType: 'application/octet-stream' };

export class R2Packages implements PackageBucket {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  async begin(packageId: string): Promise<PackageWriter> {
    const upload = await guard(() =>
      this.#bucket.createMultipartUpload(keyOf(packageId), { httpMetadata: TYPE }),
    );
    const parts: R2UploadedPart[] = [];
    return {
      async write(part) {
        parts.push(await guard(() => upload.uploadPart(parts.length + 1, part)));
      },
      async finish() {
        await guard(() => upload.complete(parts));
      },
      async abort() {
        try {
          await upload.abort();
        } catch {
          // What is not aborted R2 forgets by itself after a week; the refusal is what the caller has to say.
        }
      },
    };
  }

  async read(packageId: string, span: ByteSpan | null): Promise<ReadableStream<Uint8Array> | null> {
    const range = span === null ? {} : { range: { offset: span.first, length: span.last - span.first + 1 } };
    const object = await guard(() => this.#bucket.get(keyOf(packageId), range));
    return object === null ? null : object.body;
  }

  async remove(packageIds: readonly string[]): Promise<void> {
    await guard(() => this.#bucket.delete(packageIds.map(keyOf)));
  }
}

function keyOf(packageId: string): string {
  return `packages/${packageId}`;
}

async function guard<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new Unavailable('r2', 'the bucket did not answer', error);
  }
}
