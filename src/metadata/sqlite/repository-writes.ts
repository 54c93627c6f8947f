import type { Statement } from 'better-sqlite3'
import { RegistryError, repositoryUnknown } from '../../errors.js'
import type { Described, DescribeRepository } from '../repositories.js'
import type { Connection } from './connection.js'
import type { Counting } from './counting.js'
import type { Repositories } from './repositories.js'

/** What changes repositories themselves; each method runs inside a transaction of the writer. */
export class RepositoryWrites {
  readonly #repositories: Repositories
  readonly #counting: Counting
  readonly #description: Statement<[number], string>
  readonly #describe: Statement<[string, number]>

  constructor(connection: Connection, repositories: Repositories, counting: Counting) {
    this.#repositories = repositories
    this.#counting = counting
    this.#description = connection
      .prepare<[number], string>('select description from repositories where id = ?')
      .pluck()
    this.#describe = connection.prepare('update repositories set description = ? where id = ?')
  }

  describeRepository({
    repository,
    description,
    at,
    identity,
    mayOverwrite,
  }: DescribeRepository): Described {
    const found = this.#repositories.find(repository)
    if (found === undefined && description === '') throw repositoryUnknown(repository)
    const before = found === undefined ? '' : (this.#description.get(found) ?? '')
    if (!mayOverwrite && before !== '' && before !== description) {
      throw new RegistryError(
        'DENIED',
        `${repository} has a description already, and ${identity} may not overwrite it`,
      )
    }
    const id = found ?? this.#repositories.ensure(repository, at)
    this.#describe.run(description, id)
    if (description === '') this.#counting.hideWhenEmpty(id)
    else this.#counting.show(id)
    return { created: found === undefined, before }
  }
}
