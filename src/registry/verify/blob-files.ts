import type { MetadataStore } from '../../metadata/metadata-store.js'
import type { KeptBlob } from '../../metadata/metadata-verification.js'
import type { Digest } from '../../oci/digest.js'
import type { BlobStore, StoredFile } from '../../storage/blob-store.js'

/** Rows, and files, in memory at once. */
const pageSize = 1_000

export interface PairsContext {
  readonly metadata: Pick<MetadataStore, 'listKeptBlobs'>
  readonly blobs: Pick<BlobStore, 'listBlobs'>
  readonly signal: AbortSignal
}

/** A file in the place of a blob. */
export type BlobFile = StoredFile & { readonly digest: Digest }

/** A blob that should have a file, with the file that is there; or a file that no row wants. */
export type Pair =
  | { readonly blob: KeptBlob; readonly file: BlobFile | undefined }
  | { readonly blob: undefined; readonly file: BlobFile }

/**
 * Rows and files side by side, in the order of digests: a page of each in memory. Both are from about
 * the same time and no more: who finds one without the other looks again.
 *
 * @param onInline - gets the blobs that have their bytes in the metadata store
 * @param onStray - gets what lies among the files and is none of a blob
 */
export async function* pairs(
  context: PairsContext,
  onInline: (blob: KeptBlob) => Promise<void>,
  onStray: (file: StoredFile) => Promise<void>,
): AsyncGenerator<Pair> {
  const files = blobFiles(context, onStray)
  let file = await nextOf(files)
  for await (const blob of keptBlobs(context)) {
    while (file && file.digest < blob.digest) {
      yield { blob: undefined, file }
      file = await nextOf(files)
    }
    const own = file?.digest === blob.digest ? file : undefined
    if (own) file = await nextOf(files)
    if (!blob.inline) yield { blob, file: own }
    else {
      if (own) yield { blob: undefined, file: own }
      await onInline(blob)
    }
  }
  for (; file; file = await nextOf(files)) yield { blob: undefined, file }
}

/** Every blob that has a row, from a digest on. */
export async function* keptBlobs(
  { metadata, signal }: Pick<PairsContext, 'metadata' | 'signal'>,
  after?: Digest,
): AsyncGenerator<KeptBlob> {
  for (let last = after; ;) {
    signal.throwIfAborted()
    const page = await metadata.listKeptBlobs({
      limit: pageSize,
      ...(last !== undefined && { after: last }),
    })
    yield* page
    if (page.length < pageSize) return
    last = page.at(-1)?.digest
  }
}

async function* blobFiles(
  { blobs, signal }: PairsContext,
  onStray: (file: StoredFile) => Promise<void>,
): AsyncGenerator<BlobFile, undefined> {
  for (let after: string | undefined; ;) {
    signal.throwIfAborted()
    const { entries, hasMore } = await blobs.listBlobs({
      limit: pageSize,
      ...(after !== undefined && { after }),
    })
    for (const entry of entries) {
      const { digest } = entry
      if (digest === undefined) await onStray(entry)
      else yield { ...entry, digest }
    }
    if (!hasMore) return undefined
    after = entries.at(-1)?.name
  }
}

async function nextOf<T>(generator: AsyncGenerator<T, undefined>): Promise<T | undefined> {
  const next = await generator.next()
  return next.value
}
