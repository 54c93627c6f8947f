import { open, type FileHandle } from 'node:fs/promises'
import { errorCode } from '../errors.js'
import type { AuditEvent } from '../metadata/audit.js'

/** `audit.file` cannot be opened; the message says why, for a person. */
export class AuditFileError extends Error {
  override readonly name = 'AuditFileError'
}

/** For its owner, and whoever collects logs as a member of the group. */
const mode = 0o640

/** Events as lines of JSON at the end of a file that something else may have moved away. */
export class AuditFile {
  readonly #path: string
  #handle: FileHandle
  /** What of a batch has not been written yet. */
  #rest: Buffer | undefined
  /** One thing after the other. */
  #busy: Promise<unknown> = Promise.resolve()

  private constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  /** @throws {@link AuditFileError} */
  static async open(path: string): Promise<AuditFile> {
    try {
      return new AuditFile(path, await openAtEnd(path))
    } catch (error) {
      const reason = errorCode(error) ?? String(error)
      throw new AuditFileError(`audit.file, ${path}, cannot be opened for writing: ${reason}`, {
        cause: error,
      })
    }
  }

  /**
   * Adds a line for each event. After a failure it is to be called with the same events again: it goes on
   * where it was, so that no line is there twice or in part.
   */
  write(events: readonly AuditEvent[]): Promise<void> {
    return this.#inTurn(async () => {
      this.#rest ??= Buffer.from(events.map(lineOf).join(''))
      while (this.#rest.byteLength > 0) {
        const { bytesWritten } = await this.#handle.write(this.#rest)
        this.#rest = this.#rest.subarray(bytesWritten)
      }
      this.#rest = undefined
    })
  }

  /**
   * Goes on in the file that has the path by now, which is made when there is none.
   *
   * @throws what opening it throws; then it goes on in the one that it has
   */
  reopen(): Promise<void> {
    return this.#inTurn(async () => {
      const before = this.#handle
      this.#handle = await openAtEnd(this.#path)
      this.#rest = undefined
      await before.close()
    })
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#handle.close())
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#busy.then(work)
    this.#busy = done.catch(() => undefined)
    return done
  }
}

function openAtEnd(path: string): Promise<FileHandle> {
  return open(path, 'a', mode)
}

/** As the API has an event, but for the id, which only the database knows. */
function lineOf({ at, ...event }: AuditEvent): string {
  return `${JSON.stringify({ at: new Date(at).toISOString(), ...event })}\n`
}
