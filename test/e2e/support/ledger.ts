import type { AnswerPlace } from './http-client.js'

/** What a key stands for: `here` for what only can be there, a digest for a tag. */
export type Value = string | undefined

/** What one request does to one key when it succeeds. */
export interface Change {
  readonly key: string
  readonly to: Value
  /** Only where the key has this value: so a deleted manifest takes its tags along. */
  readonly onlyFrom?: string
}

/** One request that changes something, from when it was sent. */
export interface Operation {
  readonly what: string
  readonly startedAt: number
  /** After this it changes nothing any more; Infinity when the client never learned. */
  readonly endedAt: number
  readonly isAcknowledged: boolean
  readonly place?: AnswerPlace
}

/** `done`: acknowledged. `refused`: without any effect. `unclear`: it may have happened or not. */
export type Outcome = 'done' | 'refused' | 'unclear'

interface Entry extends Change {
  readonly operation: Operation
}

const never: Operation = {
  what: 'what was there before',
  startedAt: -1,
  endedAt: -1,
  isAcknowledged: true,
}

export const HERE = 'here'
export const blobKey = (name: string, digest: string) => `${name} blob ${digest}`
export const manifestKey = (name: string, digest: string) => `${name} manifest ${digest}`
export const tagKey = (name: string, tag: string) => `${name} tag ${tag}`

/**
 * What clients have asked of a registry and what it told them; and so, what may be there. Its
 * clock counts requests and answers, as the clients saw them.
 */
export class Ledger {
  #clock = 0
  readonly #settled = new Map<string, Value>()
  readonly #entries = new Map<string, Entry[]>()
  readonly #operations: Operation[] = []

  /** Every answer that acknowledged something, so far. */
  get acknowledged(): number {
    return this.#operations.filter(({ isAcknowledged }) => isAcknowledged).length
  }

  get keys(): string[] {
    return [...new Set([...this.#settled.keys(), ...this.#entries.keys()])]
  }

  /** Keys that requests have changed, or may have, since the ledger was settled. */
  get changedKeys(): string[] {
    return [...this.#entries.keys()]
  }

  /**
   * Writes down that a request is about to be sent.
   *
   * @returns what writes down what came of it; until then anything may
   */
  begin(what: string, changes: readonly Change[]): (outcome: Outcome, place?: AnswerPlace) => void {
    const operation = {
      what,
      startedAt: this.#clock++,
      endedAt: Infinity,
      isAcknowledged: false,
    }
    this.#operations.push(operation)
    for (const change of changes) {
      this.#add({ ...change, operation })
      this.#addDeletesUnderWay(change)
    }
    return (outcome, place) => {
      operation.isAcknowledged = outcome === 'done'
      if (place) Object.assign(operation, { endedAt: this.#clock++, place })
      if (outcome === 'refused') this.#forget(operation)
    }
  }

  /** The tags of a repository that a request may have pointed to a digest. */
  tagsOf(name: string, digest: string): string[] {
    const prefix = tagKey(name, '')
    const pointsThere = (key: string) =>
      this.#settled.get(key) === digest ||
      (this.#entries.get(key) ?? []).some(({ to }) => to === digest)
    return this.keys.filter((key) => key.startsWith(prefix) && pointsThere(key))
  }

  /**
   * What a key may stand for when the process has ended.
   *
   * @param isAcknowledged - whether the client knew by then; as it does by now, when absent
   */
  possible(
    key: string,
    isAcknowledged: (operation: Operation) => boolean = (operation) => operation.isAcknowledged,
  ): ReadonlySet<Value> {
    const before: Entry = { key, to: this.#settled.get(key), operation: never }
    const entries = [before, ...(this.#entries.get(key) ?? [])]
    const isSure = ({ operation }: Entry) => operation === never || isAcknowledged(operation)
    const changesFor = (value: Value) =>
      entries.filter((entry) => {
        const { onlyFrom } = entry
        return isSure(entry) && (onlyFrom === undefined || onlyFrom === value)
      })
    const isOver = ({ to, operation }: Entry, until = Infinity) =>
      changesFor(to).some(
        (later) =>
          later.operation.startedAt > operation.endedAt && later.operation.endedAt <= until,
      )
    const couldApply = ({ onlyFrom, operation }: Entry) =>
      onlyFrom === undefined ||
      entries.some(
        (source) =>
          source.to === onlyFrom &&
          source.operation.startedAt < operation.endedAt &&
          !isOver(source, operation.startedAt),
      )
    return new Set(
      entries.filter((entry) => couldApply(entry) && !isOver(entry)).map(({ to }) => to),
    )
  }

  /**
   * From now on what was found counts, and nothing that was asked for before does: the process
   * that was asked is gone.
   */
  settle(found: ReadonlyMap<string, Value>): void {
    for (const [key, value] of found) this.#settled.set(key, value)
    this.#entries.clear()
    this.#operations.length = 0
  }

  #add(entry: Entry): void {
    const entries = this.#entries.get(entry.key) ?? []
    entries.push(entry)
    this.#entries.set(entry.key, entries)
  }

  /** A manifest that is being deleted may take along a tag that is being pointed to it. */
  #addDeletesUnderWay({ key, to }: Change): void {
    const name = /^(\S+) tag /.exec(key)?.[1]
    if (name === undefined || to === undefined) return
    for (const entry of this.#entries.get(manifestKey(name, to)) ?? []) {
      const { operation } = entry
      if (entry.to !== undefined || operation.endedAt !== Infinity) continue
      this.#add({ key, to: undefined, onlyFrom: to, operation })
    }
  }

  #forget(operation: Operation): void {
    for (const [key, entries] of this.#entries) {
      const rest = entries.filter((entry) => entry.operation !== operation)
      if (rest.length > 0) this.#entries.set(key, rest)
      else this.#entries.delete(key)
    }
  }
}
