import { describe, expect, it } from 'vitest'
import type { AuditEvent, AuditQuery } from '../../src/metadata/audit.js'
import type { MetadataStore } from '../../src/metadata/metadata-store.js'
import { APP, AT, OTHER } from '../support/records.js'

const everything = { limit: 1000 }

export function auditEvent(changes: Partial<AuditEvent> = {}): AuditEvent {
  return {
    at: AT,
    actor: 'alice',
    action: 'manifest.push',
    target: '',
    result: 'done',
    details: {},
    ...changes,
  }
}

/** Events of one millisecond after the other, so that their targets tell their order. */
function eventsOf(count: number, changesOf: (index: number) => Partial<AuditEvent> = () => ({})) {
  return Array.from({ length: count }, (_, index) =>
    auditEvent({ at: AT + index, target: String(index), ...changesOf(index) }),
  )
}

async function targets(store: MetadataStore, query: Partial<AuditQuery>): Promise<string[]> {
  const { entries } = await store.audit.listAudit({ ...everything, ...query })
  return entries.map(({ target }) => target)
}

/** Follows the pages to their end. */
async function walk(store: MetadataStore, query: AuditQuery) {
  const found: string[] = []
  const sizes: number[] = []
  let before: AuditQuery['before']
  do {
    const { entries, next } = await store.audit.listAudit({ ...query, ...(before && { before }) })
    found.push(...entries.map(({ target }) => target))
    sizes.push(entries.length)
    before = next
  } while (before)
  return { found, sizes }
}

/** What the audit trail of every MetadataStore promises. */
export function auditContract(backend: string, open: () => Promise<MetadataStore>) {
  describe(`the audit trail on ${backend}`, () => {
    it('gives events back as they were, the last first', async () => {
      const store = await open()
      const whole = auditEvent({
        ...{ at: AT + 1, target: 'v1', repository: APP, address: '::1', result: 'refused' },
        details: { code: 'DENIED', tags: ['v1', 'ä'] },
      })

      await store.audit.recordAudit([auditEvent(), whole])

      const { entries, next } = await store.audit.listAudit(everything)
      expect(entries).toEqual([
        { id: 2, ...whole },
        { id: 1, ...auditEvent() },
      ])
      expect(next).toBeUndefined()
    })

    it('lists in the order of time, though the clock was set back', async () => {
      const store = await open()
      const at = (time: number, target: string) => auditEvent({ at: time, target })

      await store.audit.recordAudit([at(AT + 5, 'first'), at(AT, 'second'), at(AT, 'third')])

      expect(await targets(store, {})).toEqual(['first', 'third', 'second'])
      expect(await targets(store, { until: AT + 5 })).toEqual(['third', 'second'])
      expect(await targets(store, { since: AT + 1 })).toEqual(['first'])
    })

    it.each<[Partial<AuditQuery>, string[]]>([
      [{ actor: 'bob' }, ['4', '1']],
      [{ action: 'login' }, ['3', '1']],
      [{ repository: APP }, ['2', '0']],
      [{ repository: OTHER }, ['4']],
      [{ result: 'refused' }, ['4', '3']],
      [{ result: 'done' }, ['2', '1', '0']],
      [{ actor: 'bob', result: 'refused' }, ['4']],
      [{ actor: 'bob', repository: APP }, []],
      [{ action: 'login', result: 'done' }, ['1']],
      [{ since: AT + 1, until: AT + 3 }, ['2', '1']],
      [{ actor: 'alice', since: AT + 3 }, ['3']],
      [{ result: 'failed' }, []],
      [{ actor: 'bo' }, []],
    ])('filters by %j', async (query, expected) => {
      const store = await open()
      const [zero, one, two, three, four] = eventsOf(5)
      await store.audit.recordAudit([
        { ...zero!, repository: APP },
        { ...one!, actor: 'bob', action: 'login' },
        { ...two!, repository: APP },
        { ...three!, action: 'login', result: 'refused' },
        { ...four!, actor: 'bob', repository: OTHER, result: 'refused' },
      ])

      expect(await targets(store, query)).toEqual(expected)
    })

    it('goes on from page to page, also among events of the same moment', async () => {
      const store = await open()
      await store.audit.recordAudit(eventsOf(10, () => ({ at: AT })))

      const { found, sizes } = await walk(store, { actor: 'alice', limit: 3 })

      expect(found).toEqual(['9', '8', '7', '6', '5', '4', '3', '2', '1', '0'])
      expect(sizes).toEqual([3, 3, 3, 1])
    })

    it('looks at no more than some thousand events for a page, whatever is left of them', async () => {
      const store = await open()
      // What is looked for is the first thing that happened.
      await store.audit.recordAudit(
        eventsOf(4500, (index) => (index === 0 ? { action: 'login' } : { repository: APP })),
      )

      const { found, sizes } = await walk(store, { actor: 'alice', action: 'login', limit: 10 })

      expect(found).toEqual(['0'])
      expect(sizes).toEqual([0, 0, 1])
    })

    it('forgets the oldest, so many at once', async () => {
      const store = await open()
      await store.audit.recordAudit(eventsOf(5))

      expect(await store.audit.forgetAudit(AT + 3, 2)).toBe(true)
      expect(await targets(store, {})).toEqual(['4', '3', '2'])
      expect(await store.audit.forgetAudit(AT + 3, 2)).toBe(false)
      expect(await targets(store, {})).toEqual(['4', '3'])
    })

    it('never forgets the last start, whose settings the next one compares with', async () => {
      const store = await open()
      await store.audit.recordAudit(eventsOf(3, () => ({ action: 'server.start' })))

      expect(await store.audit.forgetAudit(AT + 100, 10)).toBe(false)

      expect(await targets(store, {})).toEqual(['2'])
    })
  })
}
