/**
 * The one thread that writes to the database. Whatever arrives while a transaction syncs forms the
 * next one (natural group commit), so that many small pushes share a sync. Of that, what needs no
 * sync is committed and answered first.
 */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import { openForWriting, type Connection } from './connection.js'
import { GroupCommit, type Durability } from './group-commit.js'
import { migrate, MigrationError } from './migrate.js'
import { groupSizeMax, SharedSync } from './shared-sync.js'
import {
  recordOf,
  type WriterAnswer,
  type WriterMessage,
  type WriterOptions,
  type WriteRequest,
  type WriterRequest,
} from './writer-protocol.js'
import { prepareWrites, QUICK_WRITES, type Writes } from './writes.js'

/**
 * So many writes are left unsynced, and in the log alone, at most: the log must not grow without end
 * when none comes that needs a sync. Each has no more than the bytes of a small blob.
 */
const unsyncedMax = 256

function startWriter(port: MessagePort, options: WriterOptions): void {
  const { connection, copy } = openAndMigrate(options)
  const writes = prepareWrites(connection)
  const group = new GroupCommit(connection)

  let unsynced = 0
  const commitAll = (requests: readonly WriteRequest[], durability: Durability) => {
    if (requests.length === 0) return
    unsynced = durability === 'synced' ? 0 : unsynced + requests.length
    send(port, { answers: commit(group, writes, requests, durability) })
  }

  const shared = new SharedSync((requests) => commitAll(requests, 'synced'))
  port.on('message', (first: WriterRequest) => {
    for (let next: WriterRequest | undefined = first; next !== undefined; next = receive(port)) {
      const { quick, durable, isLast } = gather(port, next)
      commitAll(quick, unsynced < unsyncedMax ? 'unsynced' : 'synced')
      shared.add(durable, quick)
      if (isLast) {
        shared.release()
        connection.exec('pragma wal_checkpoint(TRUNCATE)')
        connection.close()
        send(port, { closed: true })
        port.close()
        return
      }
    }
  })
  send(port, { ready: true, copy })
}

/** What has arrived by now, up to a request to close. */
function gather(port: MessagePort, first: WriterRequest) {
  const quick: WriteRequest[] = []
  const durable: WriteRequest[] = []
  let next: WriterRequest | undefined = first
  while (next !== undefined && !('close' in next)) {
    const group = QUICK_WRITES.has(next.name) ? quick : durable
    group.push(next)
    next = quick.length + durable.length === groupSizeMax ? undefined : receive(port)
  }
  return { quick, durable, isLast: next !== undefined }
}

/** What is thrown here ends the thread, and with it the start; a person reads its message. */
function openAndMigrate({ file, migrations }: WriterOptions): {
  connection: Connection
  copy: string | undefined
} {
  try {
    const connection = openForWriting(file)
    const copy = migrate(connection, migrations)
    // What a savepoint may have to undo goes to a temporary file otherwise: a quarter of what collecting
    // costs. Not before: a migration may sort more than fits in memory.
    connection.exec('pragma temp_store = MEMORY')
    return { connection, copy }
  } catch (error) {
    if (error instanceof MigrationError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`the database ${file} cannot be used: ${reason}`, { cause: error })
  }
}

function commit(
  group: GroupCommit,
  writes: Writes,
  requests: readonly WriteRequest[],
  durability: Durability,
): WriterAnswer[] {
  const outcomes = group.run(
    requests.map(({ name, args }) => {
      // One signature for all: the arguments were checked where the request was made.
      const write = writes[name] as (...args: readonly unknown[]) => unknown
      return () => write(...args)
    }),
    durability,
  )
  return outcomes.map((outcome, index) => {
    const id = (requests[index] as WriteRequest).id
    return 'error' in outcome
      ? { id, error: recordOf(outcome.error) }
      : { id, result: outcome.result }
  })
}

function receive(port: MessagePort): WriterRequest | undefined {
  return (receiveMessageOnPort(port) as { message: WriterRequest } | undefined)?.message
}

function send(port: MessagePort, message: WriterMessage): void {
  port.postMessage(message)
}

if (parentPort) startWriter(parentPort, workerData as WriterOptions)
