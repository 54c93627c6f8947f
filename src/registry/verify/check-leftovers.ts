import { formatBytes } from '../../byte-sizes.js'
import type { StoredFile } from '../../storage/blob-store.js'
import { dayMs } from '../../times.js'
import type { VerifyContext } from './context.js'

const pageSize = 1_000

/**
 * A request that goes on writing for a session that was cancelled meanwhile removes what it has written
 * when it finds out. So what has been written just now may be all right.
 */
const settledMs = 60_000

/** A removal takes milliseconds; but it may be held back while the store is copied. */
const removalMsMax = dayMs

/** Bytes of uploads belong to a session, or to one that is over and is known to have left them. */
export async function checkUploads(context: VerifyContext): Promise<void> {
  const { blobs, checked, signal } = context
  for (let after: string | undefined; ;) {
    signal.throwIfAborted()
    const { entries, hasMore } = await blobs.listUploads({
      limit: pageSize,
      ...(after !== undefined && { after }),
    })
    checked.uploads += entries.length
    for (const file of await unknownOf(context, entries)) await checkUpload(context, file)
    if (!hasMore) return
    after = entries.at(-1)?.name
  }
}

async function unknownOf(
  { metadata }: VerifyContext,
  files: readonly StoredFile[],
): Promise<StoredFile[]> {
  const ids = files.map(({ uploadId }) => uploadId).filter((id) => id !== undefined)
  const unknown = new Set(await metadata.listUnknownUploads(ids))
  return files.filter(({ uploadId }) => uploadId === undefined || unknown.has(uploadId))
}

async function checkUpload(
  context: VerifyContext,
  { name, uploadId, sizeBytes, modifiedAt }: StoredFile,
): Promise<void> {
  const { blobs, repair, now } = context
  if (uploadId !== undefined && modifiedAt > now() - settledMs) return
  if (uploadId === undefined) {
    const repaired = repair && (await blobs.removeStray(name))
    context.find({
      kind: 'stray',
      name,
      message: `${name} (${formatBytes(sizeBytes)}) has not been put there by Berth; ${
        repair && !repaired ? 'it has other things in it: look at it' : removes
      }`,
      repaired,
    })
    return
  }
  if (repair) await blobs.abort(uploadId)
  context.find({
    kind: 'upload-without-session',
    name,
    message: `${name} (${formatBytes(sizeBytes)}): bytes of an upload that nobody can go on with; ${removes}`,
    repaired: repair,
  })
}

const removes = 'berth verify --repair removes it'

/** What was to be removed has been. */
export async function checkRemovals(context: VerifyContext): Promise<void> {
  const { metadata, repair, now } = context
  const before = now() - removalMsMax
  const old = await metadata.listOldFileRemovals(before, pageSize)
  if (old.length === 0) return
  if (repair) await context.finishRemovals()
  const left = new Set(repair ? await metadata.listOldFileRemovals(before, pageSize) : old)
  for (const digest of old) {
    context.find({
      kind: 'removal-unfinished',
      digest,
      message: `the bytes of ${digest} should have been removed long ago; berth verify --repair does it, and so does the next start`,
      repaired: !left.has(digest),
    })
  }
}
