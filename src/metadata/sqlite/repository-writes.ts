import type { Statement } from 'better-sqlite3'
import { repositoryUnknown } from '../../errors.js'
import type { DescribeRepository } from '../repositories.js'
import type { Connection } from './connection.js'
import type { Counting } from './counting.js'
import type { Repositories } from './repositories.js'

/** What changes repositories themselves; each method runs inside a transaction of the writer. */
export class RepositoryWrites {
  readonly #repositories: Repositories
  readonly #counting: Counting
  readonly #describe: Statement<[string, number]>

  constructor(connection: Connection, repositories: Repositories, counting: Counting) {
    this.#repositories = repositories
    this.#counting = counting
    this.#describe = connection.prepare('update repositories set description = ? where id = ?')
  }

  describeRepository({ repository, description, at }: DescribeRepository): {
    readonly created: boolean
  } {
    const found = this.#repositories.find(repository)
    if (found === undefined && description === '') throw repositoryUnknown(repository)
    const id = found ?? this.#repositories.ensure(repository, at)
    this.#describe.run(description, id)
    if (description === '') this.#counting.hideWhenEmpty(id)
    else this.#counting.show(id)
    return { created: found === undefined }
  }
}
