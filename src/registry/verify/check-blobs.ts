import { formatBytes } from '../../byte-sizes.js'
import type { KeptBlob } from '../../metadata/metadata-verification.js'
import { BlobDamagedError, type StoredFile } from '../../storage/blob-store.js'
import { confirmDamage, damagedBlob, remedy } from './blob-damage.js'
import { pairs, type BlobFile } from './blob-files.js'
import type { VerifyContext } from './context.js'

/** Every blob has its bytes, as many as it should have; and nothing else lies where bytes are. */
export async function checkBlobs(context: VerifyContext): Promise<void> {
  const { checked } = context
  const onInline = async (blob: KeptBlob) => {
    checked.blobs++
    await checkInline(context, blob)
  }
  for await (const { blob, file } of pairs(context, onInline, (file) =>
    checkStray(context, file),
  )) {
    if (file) checked.files++
    if (blob) {
      checked.blobs++
      await checkStored(context, blob, file)
    } else await checkUnwanted(context, file)
  }
}

/** How far rows and files go together; blobs that are known to be damaged are not among them. */
export interface Agreement {
  readonly blobCount: number
  /** Of those, without bytes, or with another number of them. */
  readonly lostCount: number
  readonly fileCount: number
  readonly fileBytes: number
  /** Of those, of blobs that have no row. */
  readonly unwantedCount: number
  readonly unwantedBytes: number
}

/** What {@link checkBlobs} would find, by a look that changes nothing. */
export async function measureAgreement(context: VerifyContext): Promise<Agreement> {
  const sums = {
    ...{ blobCount: 0, lostCount: 0 },
    ...{ fileCount: 0, fileBytes: 0, unwantedCount: 0, unwantedBytes: 0 },
  }
  const ignore = async () => undefined
  for await (const { blob, file } of pairs(context, ignore, ignore)) {
    sums.fileCount += file ? 1 : 0
    sums.fileBytes += file?.sizeBytes ?? 0
    if (blob === undefined) {
      sums.unwantedCount++
      sums.unwantedBytes += file.sizeBytes
    } else if (!blob.damaged) {
      sums.blobCount++
      if (file?.sizeBytes !== blob.sizeBytes) sums.lostCount++
    }
  }
  return sums
}

async function checkStored(
  context: VerifyContext,
  blob: KeptBlob,
  file: BlobFile | undefined,
): Promise<void> {
  if (blob.damaged) {
    if (file && context.repair && (await isFoundSound(context, blob))) return
    await checkAbsent(context, blob, file)
    return
  }
  if (file?.sizeBytes === blob.sizeBytes) return
  const { digest, sizeBytes } = blob
  const error = await confirmDamage(context, blob, async () => {
    const opened = await context.blobs.open(digest, sizeBytes)
    await opened.close()
  })
  if (error) await tell(context, blob, error)
}

/**
 * A file in the place of a blob that counts as absent. It may be whole, where a disk or a right was away
 * for a moment, and the blob is served again; else it was left by whoever marked it, while an upload
 * was about to replace it, and is put aside. That adopts nothing: somebody has pushed these bytes.
 */
async function isFoundSound(context: VerifyContext, blob: KeptBlob): Promise<boolean> {
  const { blobs, damage, bytesPerSecond, signal } = context
  const { digest, sizeBytes } = blob
  try {
    await blobs.check(digest, sizeBytes, { bytesPerSecond, signal })
  } catch (error) {
    if (!(error instanceof BlobDamagedError)) throw error
    await damage.note(blob, error)
    return false
  }
  if (!(await damage.takeBack(blob))) return false
  context.find({
    kind: 'blob-absent',
    digest,
    message: `blob ${digest} (${formatBytes(sizeBytes)}) was found damaged, and its bytes are right: it is served again`,
    repaired: true,
  })
  return true
}

async function checkInline(context: VerifyContext, blob: KeptBlob): Promise<void> {
  if (blob.damaged) {
    await checkAbsent(context, blob)
    return
  }
  if (blob.keptBytes === blob.sizeBytes) return
  const error = await confirmDamage(context, blob, async () => {
    const [row] = await context.metadata.findKeptBlobs([blob.digest])
    if (row !== undefined && row.keptBytes !== row.sizeBytes) throw inlineDamage(row)
  })
  if (error) await tell(context, blob, error)
}

function inlineDamage({ keptBytes, sizeBytes }: KeptBlob): BlobDamagedError {
  return keptBytes === undefined
    ? new BlobDamagedError('missing', 'its bytes are missing in the database')
    : new BlobDamagedError(
        'size',
        `the database has ${keptBytes} bytes of it instead of ${sizeBytes}`,
      )
}

async function tell(
  context: VerifyContext,
  blob: KeptBlob,
  error: BlobDamagedError,
): Promise<void> {
  const isNoted = context.repair && (await context.damage.note(blob, error))
  context.find(await damagedBlob(context, blob, error, isNoted))
  if (isNoted && blob.inline) await removeUnservable(context, blob)
}

/** It has been found damaged before: that is worth telling for as long as something needs it. */
async function checkAbsent(context: VerifyContext, blob: KeptBlob, file?: BlobFile): Promise<void> {
  const { digest, sizeBytes } = blob
  const { names, isReferredTo } = await context.metadata.findHolders(digest)
  if (!isReferredTo) {
    if (context.repair && blob.inline) await removeUnservable(context, blob)
    return
  }
  const [row] = await context.metadata.findKeptBlobs([digest])
  if (row?.damaged !== true) return
  const maySuffice = !context.repair && file?.sizeBytes === sizeBytes
  const look = '; there are bytes in its place: berth verify --repair looks whether they are right'
  context.find({
    kind: 'blob-absent',
    digest,
    message: `blob ${digest} (${formatBytes(sizeBytes)}) was found damaged and has not been pushed since; ${remedy(names, isReferredTo)}${maySuffice ? look : ''}`,
    repaired: false,
  })
}

async function removeUnservable(context: VerifyContext, { digest }: KeptBlob): Promise<void> {
  const { identity, now } = context
  await context.metadata.repairRow({ kind: 'blob', key: digest, identity, at: now() })
}

/** Bytes that no row wants: what a crash has left, or what somebody has put there. */
async function checkUnwanted(
  context: VerifyContext,
  { digest, name, sizeBytes }: BlobFile,
): Promise<void> {
  const { metadata, repair, now } = context
  if (await isWantedOrMoving(context, digest)) return
  if (!(await isThere(context, digest, sizeBytes))) return
  // What has begun and ended in between.
  if (await isWantedOrMoving(context, digest)) return
  const repaired = repair && (await metadata.beginStrayRemoval(digest, now()))
  if (repaired) await context.finishRemovals()
  context.find({
    kind: 'bytes-without-row',
    digest,
    name,
    message: `${name} (${formatBytes(sizeBytes)}): no blob of this digest is known; berth verify --repair removes it`,
    repaired,
  })
}

/** In this order: whoever moves bytes says so before, and has a row when it is over. */
async function isWantedOrMoving({ metadata }: VerifyContext, digest: BlobFile['digest']) {
  if ((await metadata.listInMotion([digest])).length > 0) return true
  const [row] = await metadata.findKeptBlobs([digest])
  return row?.inline === false
}

async function isThere(
  { blobs }: VerifyContext,
  digest: BlobFile['digest'],
  sizeBytes: number,
): Promise<boolean> {
  try {
    const opened = await blobs.open(digest, sizeBytes)
    await opened.close()
    return true
  } catch (error) {
    if (error instanceof BlobDamagedError) return error.damage !== 'missing'
    throw error
  }
}

async function checkStray(context: VerifyContext, { name, sizeBytes }: StoredFile): Promise<void> {
  const repaired = context.repair && (await context.blobs.removeStray(name))
  context.find({
    kind: 'stray',
    name,
    message:
      context.repair && !repaired
        ? `${name} has not been put there by Berth, and has other things in it: look at it`
        : `${name} (${formatBytes(sizeBytes)}) has not been put there by Berth; berth verify --repair removes it`,
    repaired,
  })
}
