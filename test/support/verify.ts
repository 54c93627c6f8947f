import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type { FastifyInstance } from 'fastify'
import type { RunStatus } from '../../src/metadata/runs.js'
import type { FindingKind } from '../../src/registry/verify/findings.js'
import type { VerifyReport, VerifyRequest } from '../../src/registry/verify/verify-run.js'
import { hexOf } from '../../src/oci/digest.js'
import type { Digest } from '../../src/oci/digest.js'
import { pauseMs } from './eventually.js'
import { answerOf } from './management.js'

export interface VerifiedRun {
  readonly id: number
  readonly status: RunStatus
  readonly report: VerifyReport
}

/** Verifies a registry through the management API, and gives the run when it has ended. */
export async function verify(
  app: FastifyInstance,
  request: Partial<VerifyRequest> = {},
): Promise<VerifiedRun> {
  const { id } = await answerOf<VerifiedRun>(app, 'POST', '/verify/runs', request)
  return endOf(app, id)
}

/** The run when it has ended, however long that takes. */
export async function endOf<Run extends { readonly status: RunStatus } = VerifiedRun>(
  app: FastifyInstance,
  id: number,
): Promise<Run> {
  const startedAt = performance.now()
  for (;;) {
    const run = await answerOf<Run>(app, 'GET', `/runs/${id}`)
    if (run.status !== 'running') return run
    await delay(pauseMs(performance.now() - startedAt))
  }
}

/** The kinds of what a run has found, in their order. */
export function kindsOf({ report }: VerifiedRun): FindingKind[] {
  return report.findings.map(({ kind }) => kind)
}

/** Where the bytes of a blob are. */
export function blobFile(dataDirectory: string, digest: Digest): string {
  const hex = hexOf(digest)
  return path.join(dataDirectory, 'blobs', 'sha256', hex.slice(0, 2), hex)
}

/** Changes the database of a registry that nobody serves, whatever the schema thinks of it. */
export function tamper(dataDirectory: string, sql: string): void {
  const connection = new Database(path.join(dataDirectory, 'berth.db'))
  try {
    connection.exec(`pragma foreign_keys = OFF; ${sql}`)
  } finally {
    connection.close()
  }
}

/** What the database of a registry answers, also while that is served. */
export function queryOf<Row>(dataDirectory: string, sql: string): Row[] {
  const connection = new Database(path.join(dataDirectory, 'berth.db'), { readonly: true })
  try {
    return connection.prepare<[], Row>(sql).all()
  } finally {
    connection.close()
  }
}
