import type { Account, AccountKind, GrantSubject } from '../accounts.js'

export interface AccountRow {
  readonly id: number
  readonly kind: AccountKind
  readonly name: string
  readonly password_hash: string | null
  readonly is_admin: 0 | 1
  readonly disabled_at: number | null
  readonly epoch: number
}

export const accountColumns = 'id, kind, name, password_hash, is_admin, disabled_at, epoch'

export function accountOf(row: AccountRow): Account {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    ...(row.password_hash !== null && { passwordHash: row.password_hash }),
    isAdmin: row.is_admin === 1,
    isDisabled: row.disabled_at !== null,
    epoch: row.epoch,
  }
}

/** Whom a grant is for, as its row with the names joined to it has it. */
export interface SubjectRow {
  readonly subject: 'account' | 'group' | 'signed-in' | 'anonymous'
  readonly account: string | null
  readonly account_kind: AccountKind | null
  readonly group_name: string | null
}

export function subjectOf(row: SubjectRow): GrantSubject {
  switch (row.subject) {
    case 'account':
      return { kind: row.account_kind ?? 'user', name: row.account ?? '' }
    case 'group':
      return { kind: 'group', name: row.group_name ?? '' }
    case 'signed-in':
    case 'anonymous':
      return { kind: row.subject }
  }
}
