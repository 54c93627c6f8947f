export interface PageRequest {
  /** Entries after this one, which need not exist. */
  readonly after?: string
  readonly limit: number
}

export interface Page<T> {
  readonly entries: T[]
  readonly hasMore: boolean
}
