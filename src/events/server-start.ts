import { createHash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from '../config.js'
import type { AuditTrail } from '../metadata/audit.js'
import { berthVersion } from '../version.js'
import type { AuditLog } from './audit.js'

/** Settings by their keys, `http.port`; of a long value the hash of its JSON. No setting is a secret. */
type Settings = Readonly<Record<string, unknown>>

const valueLengthMax = 300

export interface StartOptions {
  readonly audit: AuditLog
  readonly trail: AuditTrail
  readonly config: Config
  readonly log: FastifyBaseLogger
}

/** Notes that the server runs, and which settings differ from those of the start before. */
export async function noteStart({ audit, trail, config, log }: StartOptions): Promise<void> {
  const settings = settingsIn(config)
  const before = await settingsOfLastStart(trail).catch((error: unknown) => {
    log.warn({ err: error }, 'the settings of the start before cannot be read to compare')
    return undefined
  })
  audit.note({ action: 'server.start', details: { version: berthVersion(), settings } })
  const changes = before ? changesBetween(before, settings) : []
  if (changes.length > 0) audit.note({ action: 'config.change', details: { changes } })
}

async function settingsOfLastStart(trail: AuditTrail): Promise<Settings | undefined> {
  const { entries } = await trail.listAudit({ action: 'server.start', limit: 1 })
  return entries[0]?.details['settings'] as Settings | undefined
}

function settingsIn(config: Config): Settings {
  return Object.fromEntries(leavesOf(config).map(([key, value]) => [key, brief(value)]))
}

function leavesOf(group: object, prefix = ''): [string, unknown][] {
  return Object.entries(group).flatMap(([key, value]: [string, unknown]) => {
    const path = prefix + key
    const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isGroup ? leavesOf(value, `${path}.`) : [[path, value] as [string, unknown]]
  })
}

function brief(value: unknown): unknown {
  const text = JSON.stringify(value)
  if (text.length <= valueLengthMax) return value
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

function changesBetween(before: Settings, after: Settings) {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys]
    .map((key) => ({ key, from: before[key], to: after[key] }))
    .filter(({ from, to }) => JSON.stringify(from) !== JSON.stringify(to))
}
