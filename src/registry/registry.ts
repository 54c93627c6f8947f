import type { Config } from '../config.js'
import type { MetadataStore } from '../metadata/metadata-store.js'
import type { BlobStore } from '../storage/blob-store.js'
import { Blobs } from './blobs.js'
import { Damage } from './damage.js'
import { DiskFloor } from './disk-floor.js'
import { FileRemovals, type FileRemovalsOptions } from './file-removals.js'
import { dayMs } from '../times.js'
import { Leases } from './leases.js'
import { Manifests } from './manifests.js'
import { Pulls } from './pulls.js'
import { Quotas } from './quotas.js'
import { Search } from './search.js'
import { tagRulesOf } from './tag-rules.js'
import { Undo } from './undo.js'
import { Uploads } from './uploads.js'

export interface Stores {
  readonly metadata: MetadataStore
  readonly blobs: BlobStore
}

/** What the operations of a registry mean, over whatever stores it has. */
export interface Registry {
  readonly manifests: Manifests
  readonly blobs: Blobs
  readonly uploads: Uploads
  readonly search: Search
  readonly pulls: Pulls
  readonly undo: Undo
  readonly removals: FileRemovals
  readonly damage: Damage
}

export interface RegistryOptions extends FileRemovalsOptions {
  readonly now: () => number
}

export function createRegistry(
  stores: Stores,
  config: Config,
  { log, now, onDurabilityLost }: RegistryOptions,
): Registry {
  const leases = new Leases(stores.metadata, log, { now, leaseSeconds: config.leases.seconds })
  const pulls = new Pulls(stores.metadata, log, now)
  const quotas = new Quotas(stores.metadata, config.quotas)
  const rulesOf = tagRulesOf(config.tags)
  const undoMs = config.undo.days * dayMs
  const floor = new DiskFloor({
    freeSpace: () => stores.blobs.freeSpace(),
    reserveBytes: config.storage.reserveBytes,
  })
  const removals = new FileRemovals(stores, { log, onDurabilityLost })
  const finishRemovals = () => removals.finishSoon()
  const damage = new Damage(stores.metadata, log, { now, finishRemovals })
  const blobs = new Blobs(stores, leases, quotas, log, {
    now,
    damage,
    undoMs,
    deleteReferencedBlobs: config.deletes.referencedBlobs === 'allow',
    verifyReads: config.storage.verifyReads,
  })
  const manifests = new Manifests(stores.metadata, leases, quotas, log, {
    now,
    floor,
    undoMs,
    indexChildren: config.manifests.indexChildren,
    indexPlatforms: config.manifests.indexPlatforms,
    pulls,
    tagRulesOf: rulesOf,
  })
  return {
    blobs,
    manifests,
    uploads: new Uploads(stores, leases, quotas, {
      now,
      floor,
      finishRemovals,
      inlineBytesMax: config.storage.inlineBytesMax,
      expireMs: config.uploads.expireSeconds * 1000,
      sessionsMax: config.uploads.sessionsMax,
    }),
    search: new Search(stores.metadata, blobs),
    pulls,
    undo: new Undo(stores.metadata, manifests, leases, { now, undoMs, tagRulesOf: rulesOf }),
    removals,
    damage,
  }
}
