import type { FastifyBaseLogger } from 'fastify'
import type { Pull } from '../metadata/manifests.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { Digest } from '../oci/digest.js'
import type { RepositoryName } from '../oci/reference.js'

/** A manifest that is asked for more often than this is written down no more often. */
const onceMs = 60_000

/** Manifests whose last pull is remembered, or waits to be written: some megabytes. */
const knownMax = 10_000
const pendingMax = 10_000

/** So few that one write is no more than that of a small blob. */
const batchSize = 16

/**
 * When manifests were last asked for. It is collected in memory, so that a pull costs no write, and
 * written down every few seconds: what ends the process in between takes those seconds with it.
 */
export class Pulls {
  readonly #metadata: MetadataStore
  readonly #log: FastifyBaseLogger
  readonly #now: () => number
  /** When each was noted last, the latest at the end. */
  readonly #known = new Map<string, number>()
  readonly #pending = new Map<string, Pull>()

  constructor(metadata: MetadataStore, log: FastifyBaseLogger, now: () => number) {
    this.#metadata = metadata
    this.#log = log
    this.#now = now
  }

  /** Somebody has asked for a manifest. */
  note(repository: RepositoryName, digest: Digest): void {
    const at = this.#now()
    const key = `${digest} ${repository}`
    const before = this.#known.get(key)
    if (before !== undefined && at - before < onceMs) return
    // Where the disk takes nothing for a while, what is lost is a time of many.
    if (this.#pending.size >= pendingMax && !this.#pending.has(key)) return
    this.#pending.set(key, { repository, digest, at })
    this.#known.delete(key)
    this.#known.set(key, at)
    if (this.#known.size > knownMax) this.#forgetOldest()
  }

  /** Writes down what has been noted. What cannot be written stays noted. */
  async flush(): Promise<void> {
    const pulls = [...this.#pending]
    for (let from = 0; from < pulls.length; from += batchSize) {
      const batch = pulls.slice(from, from + batchSize)
      await this.#metadata.recordPulls(batch.map(([, pull]) => pull))
      for (const [key, pull] of batch) {
        if (this.#pending.get(key) === pull) this.#pending.delete(key)
      }
    }
  }

  /** To be called when nobody pulls any more; nothing that fails here is worth more than a line. */
  async close(): Promise<void> {
    try {
      await this.flush()
    } catch (error) {
      this.#log.warn({ err: error }, 'the times of the last pulls could not be written')
    }
  }

  #forgetOldest(): void {
    for (const key of this.#known.keys()) {
      this.#known.delete(key)
      return
    }
  }
}
