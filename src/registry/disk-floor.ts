import { formatBytes } from '../byte-sizes.js'
import { RegistryError } from '../errors.js'
import type { FreeSpace } from '../storage/blob-store.js'

export interface DiskFloorOptions {
  /** As `BlobStore.freeSpace`. */
  readonly freeSpace: () => Promise<FreeSpace | undefined>
  /** What is kept free; 0 for nothing. */
  readonly reserveBytes: number
  /** A clock that is never set back, in milliseconds. */
  readonly now?: () => number
}

/** However many ask, the disk is asked no more than once in this time. */
const freshMs = 1000

/** Of the whole disk: a small one must not be all floor. */
const shareMax = 0.1

/**
 * Space that uploads must leave free, so that the database can go on writing and deleting always has
 * the room that it needs itself. Uploads under way at the same time do not know of each other: what
 * they all announce may be more than there is, and they are stopped when they come to the floor.
 */
export class DiskFloor {
  readonly #options: DiskFloorOptions
  readonly #now: () => number
  #askedAt = -Infinity
  #answer: Promise<FreeSpace | undefined> = Promise.resolve(undefined)

  constructor(options: DiskFloorOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /**
   * For an upload, of which so many bytes will come; 0 when nobody knows.
   *
   * @throws {@link RegistryError} `STORAGE_FULL`
   */
  async requireRoom(byteCount: number): Promise<void> {
    await this.#require(byteCount, 1)
  }

  /**
   * For a manifest: what it refers to is here already, and a push that is nearly done may end.
   *
   * @throws {@link RegistryError} `STORAGE_FULL` below half of the floor
   */
  async requireRoomForManifest(byteCount: number): Promise<void> {
    await this.#require(byteCount, 0.5)
  }

  async #require(byteCount: number, share: number): Promise<void> {
    if (this.#options.reserveBytes === 0) return
    const space = await this.#space()
    if (space === undefined) return
    const { freeBytes, totalBytes } = space
    const floorBytes = Math.min(this.#options.reserveBytes, totalBytes * shareMax)
    if (freeBytes - byteCount >= floorBytes * share) return
    throw new RegistryError(
      'STORAGE_FULL',
      `the registry has ${formatBytes(freeBytes)} of disk space left and keeps ${formatBytes(floorBytes)} of it free` +
        `${byteCount > 0 ? `: no room for ${formatBytes(byteCount)} more` : ''}; free some and try again`,
    )
  }

  #space(): Promise<FreeSpace | undefined> {
    const at = this.#now()
    if (at - this.#askedAt >= freshMs) {
      this.#askedAt = at
      this.#answer = this.#options.freeSpace()
    }
    return this.#answer
  }
}
