import type { FastifyBaseLogger } from 'fastify'
import {
  checkedCertificates,
  fingerprintOf,
  readCertificateFiles,
  type CertificateFiles,
  type Certificates,
} from './certificates.js'

/**
 * The files are read again, not watched: that also sees a link that points elsewhere now, as
 * Kubernetes renews its secrets, and works on every file system.
 */
const intervalMs = 5000

export interface CertificateWatchOptions {
  readonly log: FastifyBaseLogger
  /** Told of certificates that are in order and differ from the last ones. */
  readonly onRenewed: (certificates: Certificates) => void
}

/** Notices when the files of a certificate change, and gives what is new and in order. */
export class CertificateWatch {
  readonly #files: CertificateFiles
  readonly #options: CertificateWatchOptions
  readonly #timer: NodeJS.Timeout
  /** What was found the last time, in order or not. */
  #known: string
  #lastLook: Promise<void> = Promise.resolve()
  #isLooking = false
  #isStopped = false

  /** @param known - the fingerprint of what is in use */
  constructor(files: CertificateFiles, known: string, options: CertificateWatchOptions) {
    this.#files = files
    this.#known = known
    this.#options = options
    this.#timer = setInterval(() => {
      // A file system that is slow is not asked twice.
      if (!this.#isLooking) void this.look()
    }, intervalMs)
    this.#timer.unref()
  }

  /** Looks now, after whoever is looking; returns when that is done. */
  look(): Promise<void> {
    this.#lastLook = this.#lastLook.then(async () => {
      this.#isLooking = true
      await this.#lookOnce()
      this.#isLooking = false
    })
    return this.#lastLook
  }

  /** Whoever is looking still says nothing any more: a file system that hangs holds up no end. */
  stop(): void {
    this.#isStopped = true
    clearInterval(this.#timer)
  }

  async #lookOnce(): Promise<void> {
    let found: string | undefined
    try {
      const bytes = await readCertificateFiles(this.#files)
      found = fingerprintOf(bytes)
      if (found === this.#known || this.#isStopped) return
      const certificates = checkedCertificates(bytes, this.#files)
      this.#options.onRenewed(certificates)
    } catch (error) {
      const reason = (error as Error).message
      found ??= reason
      if (found === this.#known || this.#isStopped) return
      this.#options.log.warn({ reason }, 'the new certificate is not used; the old one stays')
    }
    this.#known = found
  }
}
