import type { Digest } from '../../oci/digest.js'

export interface ManifestRow {
  readonly digest: Digest
  readonly media_type: string
  readonly leased_until: number
}

/** A {@link ManifestRow} of a manifest `m` with {@link manifestLease}. */
export const manifestColumns = `
  m.digest, m.media_type, coalesce(l.expires_at, 0) as leased_until`

/** What a manifest `m` is joined with. */
export const manifestLease = `
  left join leases l on l.digest = m.digest and l.repository_id = m.repository_id`
