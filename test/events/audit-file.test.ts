import { readFile, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { AuditFile, AuditFileError } from '../../src/events/audit-file.js'
import { auditEvent } from '../metadata/audit-contract.js'
import { temporaryDirectory } from '../support/directories.js'
import { APP, AT } from '../support/records.js'

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
