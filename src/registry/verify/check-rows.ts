import { formatBytes } from '../../byte-sizes.js'
import type { RowCheck, RowFault, RowRepair } from '../../metadata/metadata-verification.js'
import type { VerifyContext } from './context.js'
import type { Finding } from './findings.js'

/** In an order in which a repair makes nothing wrong that was looked at before. */
export const ROW_CHECKS: readonly RowCheck[] = [
  'manifests',
  'tags',
  'references',
  'contents',
  'links',
  'repositories',
]

/** What the metadata store can check by itself: that its backend is sound. */
export async function checkParts({ metadata, signal, find }: VerifyContext): Promise<void> {
  for (const part of await metadata.listParts()) {
    signal.throwIfAborted()
    for (const problem of await metadata.checkPart(part)) {
      find({
        kind: 'database',
        message: `the database is damaged (${part}): ${problem}; restore a backup, or ask for help with a copy of it`,
        repaired: false,
      })
    }
  }
}

/** Rows that belong together agree. */
export async function checkRows(context: VerifyContext, check: RowCheck): Promise<void> {
  const { metadata, checked, signal } = context
  for (let after: string | undefined; ;) {
    signal.throwIfAborted()
    const { checkedCount, found, next } = await metadata.checkRows(check, after)
    checked[check] += checkedCount
    for (const fault of found) {
      if (!isAllowed(context, fault)) context.find(await findingOf(context, fault))
    }
    if (next === undefined) return
    after = next
  }
}

/** What is missing because somebody wanted it so, or because it need not be here. */
function isAllowed(context: VerifyContext, fault: RowFault): boolean {
  if (fault.kind !== 'reference') return false
  if (fault.targetKind === 'child') return !context.isRequired(fault)
  return fault.isExternal || (fault.isElsewhere && context.allowsMissingBlobs)
}

async function findingOf(context: VerifyContext, fault: RowFault): Promise<Finding> {
  const about = {
    ...(fault.repository !== undefined && { repository: fault.repository }),
    ...('digest' in fault && fault.digest !== undefined && { digest: fault.digest }),
  }
  const where = fault.repository ?? 'a repository that is gone'
  switch (fault.kind) {
    case 'manifestBytes': {
      const { digest, sizeBytes, actualBytes } = fault
      return {
        ...about,
        kind: actualBytes === undefined ? 'manifest-missing' : 'manifest-size',
        message: `manifest ${where}@${digest} has ${actualBytes ?? 'no'} bytes instead of ${sizeBytes}; push it again`,
        repaired: false,
      }
    }
    case 'reference': {
      const { digest, target, targetKind, isElsewhere } = fault
      const name = `manifest ${where}@${digest}`
      const missing = targetKind === 'child' ? 'manifest' : targetKind
      const unless =
        targetKind === 'child'
          ? ', or leave it if it was pushed without while manifests.indexChildren allowed that'
          : ''
      return {
        ...about,
        kind: 'reference-missing',
        message: `${name} needs the ${missing} ${target}, which ${isElsewhere ? 'other repositories have and this one does not' : 'is not there'}; push it again${unless}`,
        repaired: false,
      }
    }
    case 'tag':
      return {
        ...about,
        kind: 'tag-broken',
        tag: fault.tag,
        message: `tag ${where}:${fault.tag} points to no manifest of its repository; push it again, or have berth verify --repair remove it`,
        repaired: await repaired(context, 'tag', fault),
      }
    case 'contents':
      return {
        ...about,
        kind: 'manifest-bytes-unused',
        message: `the bytes of manifest ${fault.digest} are kept and no repository has it; berth verify --repair removes them`,
        repaired: await repaired(context, 'contents', fault),
      }
    case 'link':
      return {
        ...about,
        kind: 'count-wrong',
        message: `${where} ${fault.isCounted ? 'counts' : 'does not count'} blob ${fault.digest}, which its manifests ${fault.isCounted ? 'do not need' : 'need'}; ${corrects}`,
        repaired: await repaired(context, 'link', fault),
      }
    case 'sum':
      return {
        ...about,
        kind: 'sum-wrong',
        message: `${where} is said to hold ${formatBytes(fault.sumBytes)} (${fault.sumBytes}) and holds ${formatBytes(fault.actualBytes)} (${fault.actualBytes}); ${corrects}`,
        repaired: await repaired(context, 'sum', fault),
      }
    case 'listed':
      return {
        ...about,
        kind: 'catalog-wrong',
        message: `the catalog ${fault.isListed ? 'shows' : 'does not show'} ${where} and ${fault.isListed ? 'should not' : 'should'}; ${corrects}`,
        repaired: await repaired(context, 'listed', fault),
      }
  }
}

const corrects = 'berth verify --repair corrects it'

async function repaired(
  { metadata, repair, identity, now }: VerifyContext,
  kind: RowRepair['kind'],
  { key }: RowFault,
): Promise<boolean> {
  if (!repair) return false
  await metadata.repairRow({ kind, key, identity, at: now() })
  return true
}
