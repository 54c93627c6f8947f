import type { Statement } from 'better-sqlite3'
import { RegistryError } from '../../errors.js'
import { parsePattern } from '../../oci/patterns.js'
import type { TagRules } from '../tags.js'
import type { Connection } from './connection.js'

/** One tag of a repository. */
interface NamedTag {
  readonly repository: string
  readonly repositoryId: number
  readonly tag: string
}

/** Up to where somebody has looked for tags that are kept, and found none: see {@link KeptTags}. */
export interface KeptTagsLook {
  readonly repositoryId: number
  /** The manifest whose tags were looked at; all of the repository when absent. */
  readonly manifestId?: number
  /** What has come into the history since was not looked at. */
  readonly historyId: number
}

/**
 * Holds to the rules for tags that may not change. Each method runs inside the transaction of the
 * writer that would change them, so that no two writers both find a tag free.
 */
export class TagGuard {
  readonly #target: Statement<[number, string], number>
  readonly #movedSince: Statement<[number, number], string>

  constructor(connection: Connection) {
    this.#target = connection
      .prepare<[number, string], number>(
        `select t.manifest_id from tags t
         join manifests m on m.id = t.manifest_id and m.generation = t.generation
         where t.repository_id = ? and t.name = ?`,
      )
      .pluck()
    this.#movedSince = connection
      .prepare<[number, number], string>(
        `select tag from history
         where repository_id = ? and id > ? and to_digest is not null and tag <> ''`,
      )
      .pluck()
  }

  /**
   * @param manifestId - what the tag is about to point to
   * @throws {@link RegistryError} `DENIED`
   */
  requireMovable(tag: NamedTag & { readonly manifestId: number }, rules: TagRules): void {
    if (!this.isMovable(tag, rules)) throw tagKept(tag, rules)
  }

  /** As {@link requireMovable}, for whoever goes on without it. */
  isMovable(
    { repositoryId, tag, manifestId }: Omit<NamedTag, 'repository'> & { manifestId: number },
    rules: TagRules,
  ): boolean {
    return !isIn(rules.immutable, tag) || this.#stays({ repositoryId, tag, manifestId })
  }

  /**
   * For somebody who may make tags, and not move them.
   *
   * @throws {@link RegistryError} `DENIED`
   */
  requireNew(tag: NamedTag & { readonly manifestId: number }, identity: string): void {
    if (this.#stays(tag)) return
    throw new RegistryError(
      'DENIED',
      `the tag ${tag.tag} of ${tag.repository} is there already, and ${identity} may not overwrite it`,
      { details: [{ tag: tag.tag }] },
    )
  }

  #stays({ repositoryId, tag, manifestId }: Omit<NamedTag, 'repository'> & { manifestId: number }) {
    const target = this.#target.get(repositoryId, tag)
    return target === undefined || target === manifestId
  }

  /** @throws {@link RegistryError} `DENIED` */
  requireDeletable(tag: Omit<NamedTag, 'repositoryId'>, rules: TagRules): void {
    if (isKept(rules, tag.tag)) throw tagKept(tag, rules)
  }

  /**
   * To be called when all tags of a manifest, or of a repository, are about to go, with what
   * {@link KeptTags.requireNone} has given: only what has come since is looked at here.
   *
   * @throws {@link RegistryError} `DENIED`; `UNAVAILABLE` when the look was not at these tags
   */
  requireNoneSince(
    goes: {
      readonly repository: string
      readonly repositoryId: number
      readonly manifestId?: number
    },
    rules: TagRules,
    look: KeptTagsLook | undefined,
  ): void {
    if (!hasRules(rules)) return
    const { repository, repositoryId, manifestId } = goes
    if (look?.repositoryId !== repositoryId || look.manifestId !== manifestId) {
      throw new RegistryError(
        'UNAVAILABLE',
        `${repository} has been replaced by another of its name meanwhile; try again`,
      )
    }
    for (const tag of this.#movedSince.all(repositoryId, look.historyId)) {
      if (!isKept(rules, tag)) continue
      const target = this.#target.get(repositoryId, tag)
      const isConcerned = manifestId === undefined ? target !== undefined : target === manifestId
      if (isConcerned) throw keptTagInTheWay({ repository, tag }, rules)
    }
  }
}

export function hasRules(rules: TagRules): boolean {
  return rules.immutable.length > 0 || rules.protected.length > 0
}

/** What is refused that would take a tag along. */
export function keptTagInTheWay(
  { repository, tag }: { readonly repository: string; readonly tag: string },
  rules: TagRules,
): RegistryError {
  const kind = isIn(rules.immutable, tag) ? 'immutable' : 'protected'
  return new RegistryError(
    'DENIED',
    `the tag ${tag} of ${repository} would go along, which is ${kind}: it cannot be deleted`,
    { details: [{ tag }] },
  )
}

function tagKept(
  { repository, tag }: { readonly repository: string; readonly tag: string },
  rules: TagRules,
): RegistryError {
  const fate = isIn(rules.immutable, tag)
    ? 'immutable: it cannot be overwritten or deleted'
    : 'protected: it cannot be deleted'
  return new RegistryError('DENIED', `the tag ${tag} of ${repository} is ${fate}`, {
    details: [{ tag }],
  })
}

function isKept(rules: TagRules, tag: string): boolean {
  return isIn(rules.immutable, tag) || isIn(rules.protected, tag)
}

/** Understanding a pattern costs less than looking up whether that was done before. */
function isIn(patterns: readonly string[], tag: string): boolean {
  return patterns.some((text) => parsePattern(text).matches(tag))
}
