import type { Digest } from '../../oci/digest.js'

export interface ManifestRow {
  readonly digest: Digest
  readonly media_type: string
  readonly leased_until: number
}

/** Of a lease `l`: whoever asks after it has been fulfilled needs a promise of his own. */
export const leasedUntil = `
  case when l.fulfilled = 0 then l.expires_at else 0 end as leased_until`

/** A {@link ManifestRow} of a manifest `m` with {@link manifestLease}. */
export const manifestColumns = `
  m.digest, m.media_type, ${leasedUntil}`

/** What a manifest `m` is joined with. */
export const manifestLease = `
  left join leases l on l.digest = m.digest and l.repository_id = m.repository_id`
