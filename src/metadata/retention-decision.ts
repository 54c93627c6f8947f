import { parsePattern, type Pattern } from '../oci/patterns.js'
import type { RetentionRule, RetentionTerms } from './retention.js'

/** A tag as rules look at it. */
export interface TagToDecide {
  readonly name: string
  /** When it was pushed last, or moved. */
  readonly movedAt: number
  /** When what it points to was asked for last; absent when never. */
  readonly pulledAt?: number
}

interface ParsedRule extends RetentionRule {
  readonly tagPatterns: readonly Pattern[]
  readonly keptPatterns: readonly Pattern[]
}

/**
 * Decides for the tags of one repository, newest first, which would go: those that a rule selects, that
 * no rule that selects them keeps, and that may be deleted at all. How many each rule has selected so
 * far is all that it remembers, so it needs no more memory for half a million tags than for one.
 */
export class RetentionDecision {
  readonly #at: number
  readonly #rules: readonly ParsedRule[]
  readonly #neverDeleted: readonly Pattern[]
  readonly #counts: number[]

  /** @param counts - {@link counts} of one that has come as far as this shall go on from */
  constructor(terms: RetentionTerms, repository: string, counts?: readonly number[]) {
    this.#at = terms.at
    this.#rules = rulesFor(terms, repository).map((rule) => ({
      ...rule,
      tagPatterns: rule.tags.map(parsePattern),
      keptPatterns: rule.keepTags.map(parsePattern),
    }))
    this.#neverDeleted = terms.neverDeleted
      .filter(({ repositories }) => parsePattern(repositories).matches(repository))
      .map(({ tags }) => parsePattern(tags))
    this.#counts = this.#rules.map((_, index) => counts?.[index] ?? 0)
  }

  /** How many tags each rule has selected. */
  get counts(): readonly number[] {
    return [...this.#counts]
  }

  /** Whether a tag would go. To be asked of each tag once, the newest first. */
  goes(tag: TagToDecide): boolean {
    let isSelected = false
    let isKept = false
    // All of them, whatever the first one says: each counts the tags it selects.
    for (const [index, rule] of this.#rules.entries()) {
      if (!isIn(rule.tagPatterns, tag.name)) continue
      isSelected = true
      const count = (this.#counts[index] ?? 0) + 1
      this.#counts[index] = count
      if (this.#keeps(rule, tag, count)) isKept = true
    }
    return isSelected && !isKept && !isIn(this.#neverDeleted, tag.name)
  }

  #keeps(rule: ParsedRule, { name, movedAt, pulledAt = 0 }: TagToDecide, count: number): boolean {
    const { keepNewest = 0, keepYoungerThanMs, keepPulledWithinMs } = rule
    const ageMs = this.#at - movedAt
    const unusedMs = this.#at - Math.max(movedAt, pulledAt)
    return (
      count <= keepNewest ||
      (keepYoungerThanMs !== undefined && ageMs < keepYoungerThanMs) ||
      (keepPulledWithinMs !== undefined && unusedMs < keepPulledWithinMs) ||
      isIn(rule.keptPatterns, name)
    )
  }
}

/** The rules that are about a repository. */
export function rulesFor({ rules }: RetentionTerms, repository: string): RetentionRule[] {
  return rules.filter(({ repositories }) => parsePattern(repositories).matches(repository))
}

function isIn(patterns: readonly Pattern[], name: string): boolean {
  return patterns.some((pattern) => pattern.matches(name))
}
