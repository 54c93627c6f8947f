/** The thread that answers long questions, one at a time, on a connection that only reads. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { openForReading, translated, type Connection } from './connection.js'
import { prepareSurvey, type SurveyQuestions } from './survey-questions.js'
import { recordOf, type ErrorRecord } from './writer-protocol.js'

/** What the thread is started with. */
export interface SurveyOptions {
  readonly file: string
}

/** To the thread. */
export type SurveyRequest = {
  readonly [Name in keyof SurveyQuestions]: {
    readonly id: number
    readonly name: Name
    readonly args: Parameters<SurveyQuestions[Name]>
  }
}[keyof SurveyQuestions]

/** From the thread. */
export type SurveyAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ErrorRecord }

/** Of the database in memory: most of what such questions read they read once. */
const cacheKiB = 16 * 1024

function startSurvey(port: MessagePort, { file }: SurveyOptions): void {
  const connection = open(file)
  const questions = prepareSurvey(connection)

  port.on('message', ({ id, name, args }: SurveyRequest) => {
    // One signature for all: the arguments were checked where the question was asked.
    const question = questions[name] as (...args: readonly unknown[]) => unknown
    let answer: SurveyAnswer
    try {
      answer = { id, result: question(...args) }
    } catch (error) {
      answer = { id, error: recordOf(translated(error)) }
    }
    port.postMessage(answer)
  })
}

/** What is thrown here ends the thread; whoever has asked reads its message. */
function open(file: string): Connection {
  try {
    const connection = openForReading(file)
    connection.exec(`pragma cache_size = -${cacheKiB}`)
    return connection
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`the database ${file} cannot be read: ${reason}`, { cause: error })
  }
}

if (parentPort) startSurvey(parentPort, workerData as SurveyOptions)
