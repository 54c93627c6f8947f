import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import path from 'node:path'
import type { Assembly } from '../assembly.js'
import type { Problem } from '../api/problems.js'
import type { Config } from '../config.js'
import { DataDirectoryError } from '../data-directory.js'
import { errorCode } from '../errors.js'
import { readOperatorFile, type OperatorAccess } from '../operator-file.js'
import { connectPinned, OtherServerError } from './pinned-connection.js'
import { EXIT_FAILED } from './usage.js'

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'

/** The management API of the registry in a data directory, whether a server has it or not. */
export interface Management {
  /**
   * Asks as the operator.
   *
   * @param path - behind `/api/v1`, with its query
   * @param body - sent as JSON
   * @returns the answer's JSON; undefined when it has none
   * @throws an error whose message is the problem's sentence
   */
  request<T>(method: Method, path: string, body?: unknown): Promise<T>
  /** Lets go of the registry; to be called whatever happened. */
  close(): Promise<void>
}

/** An answer of the API that is not what was asked for. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError'
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
  }
}

const base = '/api/v1'

/**
 * Opens the management of the registry in `config.dataDirectory`. Where a server has it, it is asked over
 * HTTP; else this process takes it for itself, and asks the same routes without a connection. Nothing
 * runs in the background there but what was asked for.
 *
 * @throws an error whose message says why it cannot be reached
 */
export async function openManagement(config: Config): Promise<Management> {
  const directory = path.resolve(config.dataDirectory)
  if (!existsSync(path.join(directory, 'berth.db'))) {
    throw new Error(`there is no registry in ${directory}; --data or --config says where it is`)
  }
  // The usual case, and quick: nothing of a registry is loaded for it.
  const access = accessOf(directory)
  if (access && (await isAnswering(access))) return new RunningServer(access, directory)
  try {
    return new OwnRegistry(await assembleQuietly(config))
  } catch (error) {
    if (error instanceof DataDirectoryError && error.isInUse) return runningServer(directory, error)
    throw error
  }
}

async function assembleQuietly(config: Config): Promise<Assembly> {
  const [{ assemble }, { createLog }] = await Promise.all([
    import('../assembly.js'),
    import('../log.js'),
  ])
  // A person reads what the command says; of the log only what has gone wrong.
  const log = await createLog({ ...config.log, level: 'warn' })
  const assembly = await assemble({
    config,
    log,
    onDurabilityLost(error) {
      log.fatal({ err: error }, 'the disk did not confirm a write; stopping at once')
      process.exit(EXIT_FAILED)
    },
  })
  return assembly
}

function runningServer(directory: string, inUse: DataDirectoryError): Management {
  const access = accessOf(directory)
  if (access === undefined) {
    throw new Error(
      `${inUse.message}, which cannot be asked: it is another command, or a server that is starting or stopping; try again when it is done`,
    )
  }
  return new RunningServer(access, directory)
}

/** How the server is reached that has the data directory, or had it when it was killed. */
function accessOf(directory: string): OperatorAccess | undefined {
  const access = readOperatorFile(directory)
  return access?.pid === holderOf(directory) ? access : undefined
}

/** Whether this server is there, and knows its token: after a kill another may have its port. */
async function isAnswering(access: OperatorAccess): Promise<boolean> {
  return ask(access, 'GET', '/runs?limit=1', undefined).then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** The process that has the data directory. */
function holderOf(directory: string): number | undefined {
  try {
    return Number(readFileSync(path.join(directory, 'berth.pid'), 'utf8'))
  } catch {
    return undefined
  }
}

class OwnRegistry implements Management {
  readonly #assembly: Assembly

  constructor(assembly: Assembly) {
    this.#assembly = assembly
  }

  async request<T>(method: Method, path: string, body?: unknown): Promise<T> {
    const { app, operatorToken } = this.#assembly
    const response = await app.inject({
      method,
      url: base + path,
      headers: headersFor(operatorToken, body),
      ...(body !== undefined && { payload: JSON.stringify(body) }),
    })
    return answerIn<T>(response.statusCode, response.body)
  }

  async close(): Promise<void> {
    // A server does that by itself.
    const { manifests } = this.#assembly.registry
    await manifests.untag(new AbortController().signal).finally(() => this.#assembly.close())
  }
}

class RunningServer implements Management {
  #access: OperatorAccess
  readonly #directory: string

  constructor(access: OperatorAccess, directory: string) {
    this.#access = access
    this.#directory = directory
  }

  async request<T>(method: Method, path: string, body?: unknown): Promise<T> {
    let answer: HttpAnswer
    try {
      answer = await this.#ask(method, path, body)
    } catch (error) {
      const reason = errorCode(error) ?? (error as Error).message
      throw new Error(this.#unreachable(reason), { cause: error })
    }
    return answerIn<T>(answer.status, answer.text)
  }

  /** The server may have got a new certificate since its file was read. */
  async #ask(method: Method, path: string, body: unknown): Promise<HttpAnswer> {
    try {
      return await ask(this.#access, method, path, body)
    } catch (error) {
      const access = error instanceof OtherServerError ? accessOf(this.#directory) : undefined
      if (access === undefined || access.certificate === this.#access.certificate) throw error
      this.#access = access
      return ask(access, method, path, body)
    }
  }

  // The server goes on without us; of our connection it need not wait for the end.
  async close(): Promise<void> {}

  #unreachable(reason: string): string {
    const { url, pid } = this.#access
    return `the server that has ${this.#directory} (process ${pid}) cannot be reached at ${url}: ${reason}`
  }
}

function headersFor(token: string, body: unknown): Record<string, string> {
  return {
    authorization: `Bearer ${token}`,
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
}

function answerIn<T>(status: number, text: string): T {
  let answer: unknown
  try {
    answer = text === '' ? undefined : JSON.parse(text)
  } catch {
    answer = undefined
  }
  if (status < 400) return answer as T
  if (isProblem(answer)) throw new ProblemError(answer)
  throw new Error(`the server answered ${status}`)
}

function isProblem(answer: unknown): answer is Problem {
  return typeof (answer as Partial<Problem> | undefined)?.detail === 'string'
}

interface HttpAnswer {
  readonly status: number
  readonly text: string
}

/**
 * One request over a connection of its own. (fetch gives up on answers that take long, and refuses to
 * ask at some ports.)
 */
async function ask(
  { url, token, certificate, clientFiles }: OperatorAccess,
  method: Method,
  path: string,
  body: unknown,
): Promise<HttpAnswer> {
  const server = new URL(url)
  const connection =
    certificate === undefined ? undefined : await connectPinned(server, certificate, clientFiles)
  const sent = request({
    ...{ method, path: base + path, headers: headersFor(token, body) },
    ...{ host: server.hostname.replace(/^\[|\]$/g, ''), port: server.port },
    ...(connection ? { createConnection: () => connection } : { agent: false }),
  })
  sent.end(body === undefined ? undefined : JSON.stringify(body))
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece as Buffer)
  return { status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }
}
