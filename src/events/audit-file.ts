import { open, stat, type FileHandle } from 'node:fs/promises'
import { errorCode } from '../errors.js'
import type { AuditEvent } from '../metadata/audit.js'

/** `audit.file` cannot be opened; the message says why, for a person. */
export class AuditFileError extends Error {
  override readonly name = 'AuditFileError'
}

/** For its owner, and whoever collects logs as a member of the group. */
const mode = 0o640

const newline = 0x0a

interface Batch {
  readonly bytes: Buffer
  written: number
}

/** Events as lines of JSON at the end of a file that something else may have moved away. */
export class AuditFile {
  readonly #path: string
  #handle: FileHandle
  /** What is being written, until all of it is. */
  #batch: Batch | undefined
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
      this.#batch ??= { bytes: Buffer.from(events.map(lineOf).join('')), written: 0 }
      const { bytes } = this.#batch
      while (this.#batch.written < bytes.byteLength) {
        const { bytesWritten } = await this.#handle.write(bytes, this.#batch.written)
        this.#batch.written += bytesWritten
      }
      this.#batch = undefined
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
      if (await isStillAt(this.#path, before)) return
      this.#handle = await openAtEnd(this.#path)
      if (this.#batch) this.#batch.written = beginOfLine(this.#batch)
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

/** Where the line begins that is not written whole yet. */
function beginOfLine({ bytes, written }: Batch): number {
  return bytes.subarray(0, written).lastIndexOf(newline) + 1
}

async function isStillAt(path: string, handle: FileHandle): Promise<boolean> {
  const [here, there] = await Promise.all([
    handle.stat({ bigint: true }),
    stat(path, { bigint: true }).catch(() => undefined),
  ])
  return here.dev === there?.dev && here.ino === there.ino
}

/** Behind a line that a process has left unfinished when it was killed another one begins. */
async function openAtEnd(path: string): Promise<FileHandle> {
  const handle = await open(path, 'a', mode)
  try {
    if (!(await endsWithLine(path, handle))) await handle.write('\n')
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function endsWithLine(path: string, handle: FileHandle): Promise<boolean> {
  const found = await handle.stat()
  if (!found.isFile() || found.size === 0) return true
  const reader = await open(path, 'r')
  try {
    const { buffer } = await reader.read(Buffer.alloc(1), 0, 1, found.size - 1)
    return buffer[0] === newline
  } finally {
    await reader.close()
  }
}

/** As the API has an event, but for the id, which only the database knows. */
function lineOf({ at, ...event }: AuditEvent): string {
  return `${JSON.stringify({ at: new Date(at).toISOString(), ...event })}\n`
}
