import { formatBytes } from '../byte-sizes.js'
import type { Command } from './commands.js'
import { restorableText, type DeletionAnswer } from './deletions.js'
import { managementCommand } from './management-command.js'
import { limitHelp, limitOption, limitUsage, printPages } from './pages.js'
import { manifestPath, parseManifestOperand, repositoryPath } from './references.js'
import { listText, localTimeText, Table } from './tables.js'

interface ManifestAnswer {
  readonly digest: string
  readonly mediaType: string
  readonly artifactType?: string
  readonly subject?: string
  readonly sizeBytes: number
  readonly pushedAt: string
  readonly pushedBy: string
  readonly pulledAt?: string
  readonly tagged?: boolean
  readonly deletedAt?: string
  readonly deletedBy?: string
  readonly goesAt?: string
}

interface DetailsAnswer extends ManifestAnswer {
  readonly references: readonly {
    readonly digest: string
    readonly kind: string
    readonly sizeBytes: number
  }[]
  readonly hasMoreReferences: boolean
  readonly tags: readonly string[]
  readonly hasMoreTags: boolean
  readonly heldBy: readonly string[]
  readonly hasMoreHolders: boolean
  readonly referrerCount: number
}

export const manifestList: Command = managementCommand({
  name: 'manifest list',
  summary: 'Lists the manifests of a repository, or those that were deleted.',
  operands: ['REPOSITORY'],
  options: { ...limitOption, deleted: { type: 'boolean' } },
  optionsUsage: `[--deleted] ${limitUsage}`,
  optionsHelp: `  --deleted         those that were deleted and can be brought back\n${limitHelp}`,
  async run(call) {
    const { deleted = false, limit } = call.options
    const path = `${repositoryPath(call.operands[0] ?? '')}/manifests`
    await printPages<ManifestAnswer>(call, {
      path,
      query: { deleted: deleted ? 'true' : undefined },
      limit,
      ...(deleted ? deletedColumns : liveColumns),
    })
  },
})

export const manifestShow: Command = managementCommand({
  name: 'manifest show',
  summary: 'Tells of one manifest: what it holds, and what a delete would take along.',
  operands: ['REPOSITORY@DIGEST'],
  options: {},
  async run({ management, operands: [operand = ''], print }) {
    const path = manifestPath(parseManifestOperand(operand))
    const manifest = await management.request<DetailsAnswer>('GET', path)
    print(manifest, () => detailsText(manifest))
  },
})

export const manifestDelete: Command = managementCommand({
  name: 'manifest delete',
  summary: 'Deletes a manifest, and every tag that points to it.',
  operands: ['REPOSITORY@DIGEST'],
  options: {},
  async run({ management, operands: [operand = ''], print }) {
    const path = manifestPath(parseManifestOperand(operand))
    const deletion = await management.request<DeletionAnswer>('DELETE', path)
    print(
      deletion,
      () => `Deleted ${operand}.\n${tagsTakenAlong(deletion)}${restorableText(deletion)}`,
    )
  },
})

const liveColumns = {
  titles: ['DIGEST', 'TYPE', 'TAGGED', 'PUSHED', 'BY', 'PULLED'],
  rowOf: ({ digest, mediaType, tagged, pushedAt, pushedBy, pulledAt }: ManifestAnswer) => [
    digest,
    mediaType,
    tagged ? 'yes' : 'no',
    localTimeText(pushedAt),
    pushedBy,
    pulledAt === undefined ? '' : localTimeText(pulledAt),
  ],
}

const deletedColumns = {
  titles: ['DIGEST', 'TYPE', 'DELETED', 'BY', 'GOES'],
  rowOf: (manifest: ManifestAnswer) => {
    const { digest, mediaType, deletedAt = '', deletedBy = '', goesAt = '' } = manifest
    return [digest, mediaType, localTimeText(deletedAt), deletedBy, localTimeText(goesAt)]
  },
}

function detailsText(manifest: DetailsAnswer): string {
  const { pulledAt, tags, heldBy, referrerCount, references } = manifest
  const facts = listText([
    ['digest', manifest.digest],
    ['type', manifest.mediaType],
    ['artifact type', manifest.artifactType],
    ['subject', manifest.subject],
    ['size', formatBytes(manifest.sizeBytes)],
    ['pushed', `${localTimeText(manifest.pushedAt)} by ${manifest.pushedBy}`],
    ['pulled', pulledAt === undefined ? undefined : localTimeText(pulledAt)],
    ['tags', orNone([...tags, ...(manifest.hasMoreTags ? ['and more'] : [])])],
    ['in indexes', orNone([...heldBy, ...(manifest.hasMoreHolders ? ['perhaps more'] : [])])],
    ['referrers', String(referrerCount)],
  ])
  const table = new Table(['HOLDS', 'SIZE', 'DIGEST']).textOf(
    references.map(({ kind, sizeBytes, digest }) => [kind, formatBytes(sizeBytes), digest]),
  )
  return `${facts}\n${table}${manifest.hasMoreReferences ? 'and more\n' : ''}`
}

function tagsTakenAlong({ tags, more }: DeletionAnswer): string {
  if (tags.length === 0) return ''
  return `Its tags went along: ${tags.join(', ')}${more ? ' and more' : ''}.\n`
}

function orNone(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}
