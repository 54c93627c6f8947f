import type { FileHandle } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { RunningDigest, type Digest, type DigestAlgorithm } from '../oci/digest.js'
import type { CheckOptions } from './blob-store.js'

/** The event loop hashes one of these in less than a millisecond. */
const pieceBytesMax = 1024 * 1024

export interface ReadOptions extends CheckOptions {
  /** Gets each piece after it was hashed; its memory is used for the next. */
  readonly take?: (piece: Buffer, atByte: number) => Promise<void>
}

/**
 * Reads the first `sizeBytes` of a file. Takes at least as long as {@link ReadOptions.bytesPerSecond}
 * says, so that one file after the other keeps that rate too.
 *
 * @returns their digest; undefined when there are fewer
 * @throws what reading throws; the reason of {@link ReadOptions.signal}
 */
export async function digestOfFile(
  file: FileHandle,
  algorithm: DigestAlgorithm,
  sizeBytes: number,
  { bytesPerSecond = Infinity, signal, take }: ReadOptions = {},
): Promise<Digest | undefined> {
  const running = new RunningDigest(algorithm)
  const piece = Buffer.allocUnsafeSlow(Math.min(sizeBytes, pieceBytesMax))
  const startedAt = performance.now()
  for (let at = 0; at < sizeBytes;) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, sizeBytes - at), at)
    if (bytesRead === 0) return undefined
    const filled = piece.subarray(0, bytesRead)
    running.update(filled)
    await take?.(filled, at)
    at += bytesRead
    await waitUntil(startedAt + (at / bytesPerSecond) * 1000, signal)
  }
  return running.current()
}

async function waitUntil(time: number, signal: AbortSignal | undefined): Promise<void> {
  const waitMs = time - performance.now()
  if (waitMs < 1) return
  try {
    await delay(waitMs, undefined, signal && { signal })
  } catch (error) {
    // It throws an error of its own, which has the reason as its cause.
    signal?.throwIfAborted()
    throw error
  }
}
