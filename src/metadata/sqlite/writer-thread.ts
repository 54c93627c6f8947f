/**
 * The one thread that writes to the database. Whatever arrives while a transaction syncs forms the
 * next one (natural group commit), so that many small pushes share a sync and no request waits for
 * a timer.
 */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import { openForWriting, type Connection } from './connection.js'
import { GroupCommit } from './group-commit.js'
import { migrate, MigrationError } from './migrate.js'
import {
  recordOf,
  type WriterAnswer,
  type WriterMessage,
  type WriterOptions,
  type WriterRequest,
} from './writer-protocol.js'
import { prepareWrites, type Writes } from './writes.js'

type WriteRequest = Extract<WriterRequest, { id: number }>

/** A long transaction delays everybody in it; beyond this the next one takes over. */
const groupSizeMax = 256

function startWriter(port: MessagePort, options: WriterOptions): void {
  const { connection, copy } = openAndMigrate(options)
  const writes = prepareWrites(connection)
  const group = new GroupCommit(connection)

  port.on('message', (first: WriterRequest) => {
    let next: WriterRequest | undefined = first
    while (next !== undefined) {
      const requests: WriteRequest[] = []
      let isLast = false
      while (next !== undefined && !isLast) {
        if ('close' in next) isLast = true
        else requests.push(next)
        next = isLast || requests.length === groupSizeMax ? undefined : receive(port)
      }
      if (requests.length > 0) send(port, { answers: commit(group, writes, requests) })
      if (isLast) {
        connection.exec('pragma wal_checkpoint(TRUNCATE)')
        connection.close()
        send(port, { closed: true })
        port.close()
        return
      }
      next = receive(port)
    }
  })
  send(port, { ready: true, copy })
}

/** What is thrown here ends the thread, and with it the start; a person reads its message. */
function openAndMigrate({ file, migrations }: WriterOptions): {
  connection: Connection
  copy: string | undefined
} {
  try {
    const connection = openForWriting(file)
    return { connection, copy: migrate(connection, migrations) }
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
): WriterAnswer[] {
  const outcomes = group.run(
    requests.map(({ name, args }) => {
      // One signature for all: the arguments were checked where the request was made.
      const write = writes[name] as (...args: readonly unknown[]) => unknown
      return () => write(...args)
    }),
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
