import { formatBytes } from '../byte-sizes.js'
import type { Command } from './commands.js'
import { managementCommand } from './management-command.js'
import { listText, localTimeText } from './tables.js'

interface UsageAnswer {
  readonly storedBytes: number
  readonly fileBytes: number
  readonly databaseBytes: number
  readonly blobCount: number
  readonly manifestCount: number
  readonly collectableBytes: number
  readonly windowBytes: number
  readonly goes: readonly { readonly by: string; readonly bytes: number }[]
  readonly disk?: { readonly freeBytes: number; readonly totalBytes: number }
}

export const storageUsage: Command = managementCommand({
  name: 'usage',
  summary: 'Tells what takes up space, and when deleting gives it back.',
  operands: [],
  options: {},
  async run({ management, print }) {
    const usage = await management.request<UsageAnswer>('GET', '/usage?fresh=true')
    print(usage, () => usageText(usage))
  },
})

function usageText(usage: UsageAnswer): string {
  const { storedBytes, fileBytes, databaseBytes, blobCount, manifestCount, disk } = usage
  const parts = `${formatBytes(fileBytes)} in files, ${formatBytes(databaseBytes)} in the database`
  return listText([
    ['stored', `${formatBytes(storedBytes)} (${parts})`],
    ['', `${blobCount} blobs, ${manifestCount} manifests`],
    ['free with the next gc', formatBytes(usage.collectableBytes)],
    ['can be brought back, or waits', formatBytes(usage.windowBytes)],
    ...usage.goes.map(
      ({ by, bytes }) => [`gone by ${localTimeText(by)}`, formatBytes(bytes)] as const,
    ),
    ['disk', disk && `${formatBytes(disk.freeBytes)} of ${formatBytes(disk.totalBytes)} are free`],
  ])
}
