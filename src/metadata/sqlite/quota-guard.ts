import type { Statement } from 'better-sqlite3'
import { formatBytes } from '../../byte-sizes.js'
import { RegistryError } from '../../errors.js'
import type { Digest } from '../../oci/digest.js'
import { parsePattern, type Pattern } from '../../oci/patterns.js'
import type { Quota, RoomRequest } from '../quotas.js'
import type { Connection } from './connection.js'
import type { Repositories } from './repositories.js'

/** Sorts behind every character of a name. */
const LAST = '\u{10ffff}'

/** Behind the `#` that names of deleted repositories begin with, and before all others. */
const FIRST = '$'

/**
 * Holds to quotas, inside the transaction of the writer that would exceed one.
 *
 * What the repositories of a quota hold is the sum of what their own rows say. It is asked for with
 * every push, of maybe a hundred thousand of them: so the writer, which alone changes those rows, adds
 * it up once for each pattern, and a trigger of its connection goes on with it. It is in no file, and a
 * transaction that is rolled back takes it back as well.
 */
export class QuotaGuard {
  readonly #repositories: Repositories
  readonly #patterns = new Map<string, Pattern>()
  readonly #used: Statement<[string], number>
  readonly #watch: Statement<[{ pattern: string; from: string; to: string }]>
  readonly #blobSize: Statement<[string], number>

  constructor(connection: Connection, repositories: Repositories) {
    this.#repositories = repositories
    connection.function('counts_in', { deterministic: true }, (name: string, pattern: string) =>
      this.#countsIn(name, pattern) ? 1 : 0,
    )
    connection.exec(`
      create temp table if not exists quota_usage (
        pattern text primary key,
        used_bytes integer not null
      ) strict, without rowid;

      create temp trigger if not exists quota_usage_moves
      after update of name, logical_bytes on main.repositories
      when old.logical_bytes <> new.logical_bytes or old.name <> new.name begin
        update quota_usage set used_bytes = used_bytes - old.logical_bytes
        where counts_in(old.name, pattern);
        update quota_usage set used_bytes = used_bytes + new.logical_bytes
        where counts_in(new.name, pattern);
      end;
    `)
    this.#used = connection
      .prepare<[string], number>('select used_bytes from quota_usage where pattern = ?')
      .pluck()
    this.#watch = connection.prepare(
      `insert into quota_usage (pattern, used_bytes)
       select @pattern, coalesce(sum(logical_bytes), 0) from repositories
       where name >= @from and name < @to and counts_in(name, @pattern)`,
    )
    this.#blobSize = connection
      .prepare<[string], number>('select size_bytes from blobs where digest = ?')
      .pluck()
  }

  /** Adds up what the repositories of patterns hold, for those that it has not been asked of yet. */
  watch(patterns: readonly string[]): void {
    for (const text of patterns) this.#usedBy(text)
  }

  /** @throws {@link RegistryError} `DENIED` */
  requireRoom({ repository, quotas, digest, sizeBytes }: RoomRequest): void {
    if (digest !== undefined && this.#has(repository, digest)) return
    const neededBytes = sizeBytes ?? (digest === undefined ? 0 : (this.#blobSize.get(digest) ?? 0))
    if (neededBytes === 0) return
    for (const quota of quotas) {
      const usedBytes = this.#usedBy(quota.repositories)
      if (usedBytes + neededBytes > quota.bytes) throw quotaExceeded(quota, usedBytes, neededBytes)
    }
  }

  /**
   * To be called when something has been counted already, which is undone when this throws.
   *
   * @throws {@link RegistryError} `DENIED`
   */
  requireHeld(quotas: readonly Quota[], addedBytes: number): void {
    if (addedBytes === 0) return
    for (const quota of quotas) {
      const usedBytes = this.#usedBy(quota.repositories)
      if (usedBytes > quota.bytes) throw quotaExceeded(quota, usedBytes - addedBytes, addedBytes)
    }
  }

  #has(repository: RoomRequest['repository'], digest: Digest): boolean {
    const id = this.#repositories.find(repository)
    return id !== undefined && this.#repositories.hasBlob(id, digest)
  }

  #usedBy(text: string): number {
    const known = this.#used.get(text)
    if (known !== undefined) return known
    const { prefix } = parsePattern(text)
    this.#watch.run({ pattern: text, from: prefix === '' ? FIRST : prefix, to: prefix + LAST })
    return this.#used.get(text) ?? 0
  }

  #countsIn(name: string, text: string): boolean {
    let pattern = this.#patterns.get(text)
    if (pattern === undefined) this.#patterns.set(text, (pattern = parsePattern(text)))
    return !name.startsWith('#') && pattern.matches(name)
  }
}

function quotaExceeded(
  { repositories, bytes }: Quota,
  usedBytes: number,
  neededBytes: number,
): RegistryError {
  const leftBytes = Math.max(bytes - usedBytes, 0)
  // Of figures that rounding makes equal a person needs all digits.
  const isClose = formatBytes(leftBytes) === formatBytes(neededBytes)
  const format = (count: number) => (isClose ? `${count} bytes` : formatBytes(count))
  return new RegistryError(
    'DENIED',
    `the quota of ${repositories} is ${format(bytes)}; ${format(usedBytes)} are used, ` +
      `${format(leftBytes)} are left; this needs ${format(neededBytes)}`,
    { details: [{ quota: repositories, quotaBytes: bytes, usedBytes, neededBytes }] },
  )
}
