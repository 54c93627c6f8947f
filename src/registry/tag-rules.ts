import type { Config } from '../config.js'
import type { TagRules } from '../metadata/tags.js'
import { parsePattern } from '../oci/patterns.js'
import type { RepositoryName } from '../oci/reference.js'

type TagEntries = Config['tags']['immutable']

/** Says of each repository which of its tags may not change, from the settings `tags`. */
export function tagRulesOf(config: Config['tags']): (repository: RepositoryName) => TagRules {
  const immutable = patternsOf(config.immutable)
  const protectedOnes = patternsOf(config.protected)
  return (repository) => ({
    immutable: immutable(repository),
    protected: protectedOnes(repository),
  })
}

function patternsOf(entries: TagEntries): (repository: RepositoryName) => string[] {
  const parsed = entries.map(({ repositories, tags }) => ({
    repositories: parsePattern(repositories),
    tags,
  }))
  return (repository) =>
    parsed.filter(({ repositories }) => repositories.matches(repository)).map(({ tags }) => tags)
}
