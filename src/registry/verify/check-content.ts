import { setTimeout as delay } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.js'
import { BlobDamagedError } from '../../storage/blob-store.js'
import type { KeptContents } from '../../metadata/metadata-verification.js'
import { requireFewDamaged } from './brake.js'
import { confirmDamage, damagedBlob } from './blob-damage.js'
import { keptBlobs } from './blob-files.js'
import type { VerifyContext } from './context.js'

/** Told after each thing that has been hashed, so that a run can go on behind it. */
export type Advance = (last: Digest) => Promise<void>

/**
 * Reads every blob that the blob store has, from a digest on, and hashes it. One that has other bytes
 * than it should have is dealt with as if a client had read it, whatever the run was asked for: bytes
 * that are known to be wrong are not served.
 *
 * @throws {@link BrakedError} before it marks too many
 */
export async function checkBlobContents(
  context: VerifyContext,
  after: Digest | undefined,
  advance: Advance,
): Promise<void> {
  const { blobs, bytesPerSecond, signal, checked } = context
  for await (const blob of keptBlobs(context, after)) {
    const { digest, sizeBytes } = blob
    if (blob.inline || blob.damaged) continue
    const check = () => blobs.check(digest, sizeBytes, { bytesPerSecond, signal })
    try {
      await check()
      checked.hashedBytes += sizeBytes
    } catch (error) {
      if (!(error instanceof BlobDamagedError)) throw error
      const confirmed = await confirmDamage(context, blob, check)
      if (confirmed) {
        requireFewDamaged(context, checked.hashedBlobs + 1)
        checked.damagedBlobs++
        const isToBeNoted = context.repair || confirmed.damage === 'content'
        const isNoted = isToBeNoted && (await context.damage.note(blob, confirmed))
        context.find(await damagedBlob(context, blob, confirmed, isNoted))
      }
    }
    checked.hashedBlobs++
    await advance(digest)
  }
}

/** As {@link checkBlobContents}, of what the metadata store keeps itself. */
export async function checkKeptContents(
  context: VerifyContext,
  contents: KeptContents,
  after: Digest | undefined,
  advance: Advance,
): Promise<void> {
  const { metadata, bytesPerSecond, signal, checked } = context
  for (let last = after; ;) {
    signal.throwIfAborted()
    const startedAt = performance.now()
    const answer = await metadata.checkContents(contents, last)
    const { checkedCount, checkedBytes, damaged, next } = answer
    const count = contents === 'blobs' ? 'hashedBlobs' : 'hashedManifests'
    const hashedCount = checked[count] + checkedCount
    for (const digest of damaged) {
      if (contents === 'blobs') await tellBlob(context, digest, hashedCount)
      else await tellManifest(context, digest)
      // Those that are marked are not hashed again by a run that has stopped among them.
      checked[count]++
    }
    checked[count] = hashedCount
    checked.hashedBytes += checkedBytes
    if (next === undefined) return
    last = next
    await advance(next)
    const waitMs = startedAt + (checkedBytes / bytesPerSecond) * 1000 - performance.now()
    if (waitMs > 0) await delay(waitMs, undefined, { signal })
  }
}

async function tellBlob(
  context: VerifyContext,
  digest: Digest,
  hashedCount: number,
): Promise<void> {
  const [blob] = await context.metadata.findKeptBlobs([digest])
  if (blob === undefined) return
  const error = await confirmDamage(context, blob, async () => {
    if (!(await context.metadata.isContentSound('blobs', digest))) {
      throw new BlobDamagedError('content', 'its bytes in the database have another digest')
    }
  })
  if (error === undefined) return
  requireFewDamaged(context, hashedCount)
  context.checked.damagedBlobs++
  const isNoted = await context.damage.note(blob, error)
  context.find(await damagedBlob(context, blob, error, isNoted))
}

/** Reading it answers 404 already, as its bytes are hashed each time. */
async function tellManifest(context: VerifyContext, digest: Digest): Promise<void> {
  // It may have been pushed again.
  if (await context.metadata.isContentSound('manifests', digest)) return
  const { names } = await context.metadata.findHolders(digest)
  context.find({
    kind: 'manifest-content',
    digest,
    message: `manifest ${digest} is damaged: its bytes have another digest; ${
      names.length > 0 ? `push it again: ${names.join(', ')}` : 'nothing that is there needs it'
    }`,
    repaired: false,
  })
}
