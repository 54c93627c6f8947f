import type { FastifyBaseLogger } from 'fastify'
import { errorCode, isDiskFull, RegistryError } from '../errors.js'
import { BackupFolder } from '../registry/backup/backup-folder.js'
import {
  Backup,
  BlobsAwayError,
  type BackupContext,
  type BackupRequest,
  type BackupTally,
} from '../registry/backup/backup.js'
import { Runs, type BegunRun, type Ending, type RunsOptions, type RunUnderWay } from './runs.js'

export interface BackupsOptions extends RunsOptions, Omit<BackupContext, 'signal'> {
  readonly dataDirectory: string
}

/** How far a backup has come, as it is kept. */
export interface BackupReport extends Partial<BackupTally> {
  /** For a person, where it has not come to its end, or lacks something. */
  readonly message?: string
}

/** Backups of a registry while it is used, each a run. */
export class Backups {
  readonly #options: BackupsOptions
  readonly #log: FastifyBaseLogger
  readonly #runs: Runs<BackupReport>
  /** Folders are taken one after the other. */
  #begun: Promise<unknown> = Promise.resolve()

  constructor(options: BackupsOptions) {
    this.#options = options
    this.#log = options.log
    this.#runs = new Runs('backup', options)
  }

  /**
   * Begins a backup into a folder.
   *
   * @param directory - an absolute path; made when it is not there
   * @throws {@link RegistryError} `REQUEST_INVALID` when the folder cannot be used, `CONFLICT` while it
   *   is, or another backup is under way
   */
  begin(
    directory: string,
    request: BackupRequest,
    identity: string,
  ): Promise<BegunRun<BackupReport>> {
    const begun = this.#begun.then(() => this.#begin(directory, request, identity))
    this.#begun = begun.catch(() => undefined)
    return begun
  }

  /** Stops the backup under way; the one before it stays. */
  close(): Promise<void> {
    return this.#runs.close()
  }

  async #begin(
    directory: string,
    request: BackupRequest,
    identity: string,
  ): Promise<BegunRun<BackupReport>> {
    // Before anything is taken: what is refused leaves nothing behind.
    if (this.#runs.areUnderWay) {
      throw new RegistryError('CONFLICT', 'a backup run is under way; wait for its end')
    }
    const { metadata, dataDirectory } = this.#options
    const { registry } = await metadata.getOrigin()
    const folder = await BackupFolder.take(directory, { id: registry, dataDirectory })
    try {
      const begun = await this.#runs.begin({ directory, ...request }, identity, {}, (run) =>
        this.#make(run, folder, request),
      )
      void begun.ended.catch(() => undefined).finally(() => folder.close())
      return begun
    } catch (error) {
      folder.close()
      throw error
    }
  }

  async #make(
    run: RunUnderWay<BackupReport>,
    folder: BackupFolder,
    request: BackupRequest,
  ): Promise<Ending<BackupReport>> {
    const { directory, latest: before } = folder
    const backup = new Backup({ ...this.#options, signal: run.signal }, folder, request)
    try {
      await backup.make(() => run.progress(backup.tally))
    } catch (error) {
      const message = run.signal.aborted ? 'the run was stopped' : expected(error, directory)
      if (message === undefined) throw error
      this.#log.warn({ err: error, run: run.id, directory }, 'a backup could not be made')
      const status = run.signal.aborted ? 'stopped' : 'failed'
      const outcome = folder.latest === before ? stays : isMade
      return { status, report: { ...backup.tally, message: `${message}; ${outcome}` } }
    }
    const { missing } = backup.tally
    this.#log.info({ run: run.id, directory, ...backup.tally }, 'a backup was made')
    if (missing === 0) return { status: 'done', report: backup.tally }
    const message = `${missing} blobs are damaged or missing in the registry, and are not in its backup: berth verify tells which`
    return { status: 'done', report: { ...backup.tally, message } }
  }
}

const stays = 'the backup before it is as it was'

const isMade = 'the backup is made, and what it does not need was not all removed'

/** What to tell of an error that is nobody's mistake here; undefined for others. */
function expected(error: unknown, directory: string): string | undefined {
  if (error instanceof BlobsAwayError) return error.message
  const code = causes(error).map(errorCode).find(Boolean) ?? ''
  const isFull = causes(error).some((cause) => isDiskFull(cause) || isFullForSqlite(cause))
  if (isFull) return `the disk of ${directory} has no room left`
  if (/^E(IO|ACCES|PERM|ROFS|NOENT|NOTDIR|STALE)$/.test(code)) {
    return `${directory} cannot be written to: ${code}`
  }
  return undefined
}

function isFullForSqlite(error: unknown): boolean {
  return error instanceof Error && /SQLITE_FULL/.test(`${errorCode(error) ?? ''} ${error.message}`)
}

function causes(error: unknown): unknown[] {
  return error instanceof Error ? [error, ...causes(error.cause)] : []
}
