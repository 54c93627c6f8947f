import { pino } from 'pino'
import { expect, it } from 'vitest'
import { DurabilityLostError } from '../../src/errors.js'
import { AuditQueue } from '../../src/events/audit-queue.js'
import type { AuditEvent } from '../../src/metadata/audit.js'
import { auditEvent } from '../metadata/audit-contract.js'
import { eventually } from '../support/eventually.js'

/** A queue whose batches go to a list, when it takes them. */
function startQueue() {
  const batches: string[][] = []
  const lines: { readonly msg: string; readonly count?: number }[] = []
  const durabilityLost: Error[] = []
  const place: { failure: Error | undefined } = { failure: undefined }
  const queue = new AuditQueue({
    name: 'the list',
    write: async (events: readonly AuditEvent[]) => {
      if (place.failure) throw place.failure
      batches.push(events.map(({ target }) => target))
    },
    lost: (count) => auditEvent({ target: `lost ${count}` }),
    log: pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as never) }),
    onDurabilityLost: (error) => void durabilityLost.push(error),
  })
  const add = (from: number, to: number) => {
    for (let index = from; index < to; index++) queue.add(auditEvent({ target: String(index) }))
  }
  return { queue, batches, lines, durabilityLost, place, add }
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => String(from + index))

it('writes what was added, in order, a hundred at a time, and nothing twice', async () => {
  const { queue, batches, add } = startQueue()
  add(0, 250)

  await queue.flush()
  await queue.flush()

  expect(batches.map((batch) => batch.length)).toEqual([100, 100, 50])
  expect(batches.flat()).toEqual(numbers(0, 250))
})

it('writes by itself a moment later, and does so again', async () => {
  const { batches, add } = startQueue()

  add(0, 1)
  await eventually(
    () => batches.length,
    (count) => count === 1,
  )
  add(1, 2)
  await eventually(
    () => batches.length,
    (count) => count === 2,
  )

  expect(batches).toEqual([['0'], ['1']])
})

it('writes what is added while it writes before whoever asked for all is told so', async () => {
  const { queue, batches, add } = startQueue()
  add(0, 1)
  const first = queue.flush()
  add(1, 2)

  await queue.flush()

  expect(batches.flat()).toEqual(['0', '1'])
  await first
})

it('keeps what could not be written, and says so once', async () => {
  const { queue, batches, lines, place, add } = startQueue()
  place.failure = new Error('the disk is full')
  add(0, 150)
  await queue.flush()
  await queue.flush()
  expect(lines.map(({ msg }) => msg)).toEqual([expect.stringContaining('the list')])
  place.failure = undefined

  await queue.flush()

  expect(batches.flat()).toEqual(numbers(0, 150))
  place.failure = new Error('again')
  add(150, 151)
  await queue.flush()
  expect(lines).toHaveLength(2)
})

it('keeps no more than ten thousand, and tells how many were lost once there is room', async () => {
  const { queue, batches, lines, place, add } = startQueue()
  place.failure = new Error('the disk is full')
  add(0, 10_500)
  await queue.flush()
  expect(lines.filter(({ msg }) => msg.includes('lost'))).toHaveLength(1)
  place.failure = undefined

  await queue.flush()

  expect(batches.flat()).toEqual([...numbers(0, 10_000), 'lost 500'])
})

it('writes all of it when it is closed, or says how many it could not', async () => {
  const whole = startQueue()
  const broken = startQueue()
  broken.place.failure = new Error('the disk is full')
  whole.add(0, 120)
  broken.add(0, 120)

  await whole.queue.close()
  await broken.queue.close()

  expect(whole.batches.flat()).toEqual(numbers(0, 120))
  expect(broken.lines.at(-1)).toMatchObject({ count: 120 })
})

it('tells of a disk that cannot be trusted, and throws nothing', async () => {
  const { queue, durabilityLost, place, add } = startQueue()
  place.failure = new DurabilityLostError('no sync')
  add(0, 1)

  await queue.flush()

  expect(durabilityLost).toEqual([place.failure])
})
