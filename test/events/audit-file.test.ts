import { open, readFile, rename, stat, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { AuditFile, AuditFileError } from '../../src/events/audit-file.js'
import type { AuditEvent } from '../../src/metadata/audit.js'
import { auditEvent } from '../metadata/audit-contract.js'
import { temporaryDirectory } from '../support/directories.js'
import { APP, AT } from '../support/records.js'

type Write = (this: FileHandle, bytes: Buffer, offset?: number) => Promise<{ bytesWritten: number }>

async function openFile() {
  const directory = await temporaryDirectory()
  const at = path.join(directory, 'audit.jsonl')
  const file = await AuditFile.open(at)
  onTestFinished(() => file.close())
  return { file, at, directory }
}

async function targetsIn(file: string): Promise<unknown[]> {
  const lines = (await readFile(file, 'utf8')).split('\n')
  expect(lines.pop()).toBe('')
  return lines.map((line) => (JSON.parse(line) as { target: string }).target)
}

it('has one line of JSON for each event', async () => {
  const { file, at } = await openFile()
  const details = { text: 'a\nb' }

  await file.write([auditEvent({ repository: APP, address: '::1', details }), auditEvent()])

  const [first, second, end] = (await readFile(at, 'utf8')).split('\n')
  expect(JSON.parse(first ?? '')).toEqual({
    at: new Date(AT).toISOString(),
    ...{ actor: 'alice', action: 'manifest.push', target: '', result: 'done' },
    ...{ repository: APP, address: '::1', details },
  })
  expect(JSON.parse(second ?? '')).not.toHaveProperty('address')
  expect(end).toBe('')
  expect((await stat(at)).mode & 0o007).toBe(0)
})

it('goes on where it was, and in another file once that is opened again', async () => {
  const { file, at } = await openFile()
  await file.write([auditEvent({ target: 'one' })])
  await rename(at, `${at}.1`)
  await file.write([auditEvent({ target: 'two' })])

  await file.reopen()
  await file.write([auditEvent({ target: 'three' })])

  expect(await targetsIn(`${at}.1`)).toEqual(['one', 'two'])
  expect(await targetsIn(at)).toEqual(['three'])
})

it('begins a line of its own behind one that was left unfinished', async () => {
  const at = path.join(await temporaryDirectory(), 'audit.jsonl')
  await writeFile(at, '{"at":"2026-')

  const file = await AuditFile.open(at)
  await file.write([auditEvent({ target: 'one' })])
  await file.close()
  const again = await AuditFile.open(at)
  await again.write([auditEvent({ target: 'two' })])
  await again.close()

  const lines = (await readFile(at, 'utf8')).split('\n')
  expect(lines.shift()).toBe('{"at":"2026-')
  expect(lines.pop()).toBe('')
  expect(lines.map((line) => (JSON.parse(line) as { target: string }).target)).toEqual([
    'one',
    'two',
  ])
})

describe('a batch of which the disk has taken a part', () => {
  const events = ['one', 'two', 'three'].map((target) => auditEvent({ target }))

  /** Breaks off in the middle of the second line. */
  async function writeSome() {
    const opened = await openFile()
    const line = (await linesOf(events))[0] ?? ''
    const probe = await open(opened.at, 'r')
    const really = Reflect.get(Object.getPrototypeOf(probe), 'write') as Write
    const write = vi.spyOn(Object.getPrototypeOf(probe) as { write: Write }, 'write')
    await probe.close()
    write.mockImplementationOnce(function (this: FileHandle, bytes) {
      return really.call(this, bytes.subarray(0, line.length + 10))
    })
    write.mockRejectedValueOnce(Object.assign(new Error('full'), { code: 'ENOSPC' }))
    await expect(opened.file.write(events)).rejects.toThrow('full')
    write.mockRestore()
    return opened
  }

  it('goes on in the same file when that is opened again, as when a certificate was renewed', async () => {
    const { file, at } = await writeSome()

    await file.reopen()
    await file.write(events)

    expect(await targetsIn(at)).toEqual(['one', 'two', 'three'])
  })

  it('goes on in another file with the line that is not whole', async () => {
    const { file, at } = await writeSome()
    await rename(at, `${at}.1`)

    await file.reopen()
    await file.write(events)

    expect(await targetsIn(at)).toEqual(['two', 'three'])
  })
})

/** What stands in a file that has nothing else. */
async function linesOf(all: readonly AuditEvent[]): Promise<string[]> {
  const { file, at } = await openFile()
  await file.write(all)
  return (await readFile(at, 'utf8')).split(/(?<=\n)/)
}

it('stays with the file it has when the other cannot be opened', async () => {
  const { file, at, directory } = await openFile()
  await rename(directory, `${directory}-away`)
  onTestFinished(() => rename(`${directory}-away`, directory))

  await expect(file.reopen()).rejects.toThrow('ENOENT')
  await file.write([auditEvent({ target: 'one' })])

  expect(await targetsIn(at.replace(directory, `${directory}-away`))).toEqual(['one'])
})

it('says which file cannot be opened, and why', async () => {
  const at = path.join(await temporaryDirectory(), 'nowhere', 'audit.jsonl')

  const opened = AuditFile.open(at)

  await expect(opened).rejects.toThrow(AuditFileError)
  await expect(opened).rejects.toThrow(`audit.file, ${at}, cannot be opened for writing: ENOENT`)
})
