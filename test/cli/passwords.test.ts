import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { readNewPassword } from '../../src/cli/passwords.js'

/** A terminal at which somebody types, and what they see there. */
function terminal() {
  const modes: boolean[] = []
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (isRaw: boolean) => modes.push(isRaw),
  })
  const output = new PassThrough()
  let seen = ''
  output.setEncoding('utf8').on('data', (text: string) => {
    seen += text
  })
  return { input, output, modes, seen: () => seen }
}

describe('a password that is asked for', () => {
  it('is typed twice, and shown never', async () => {
    const { input, output, modes, seen } = terminal()

    const reading = readNewPassword(false, { stdin: input, stderr: output })
    input.write('correct horse\r')
    input.write('correct horsf\u007fe\r')

    expect(await reading).toBe('correct horse')
    expect(seen()).toBe('Password: \nThe same again: \n')
    expect(modes).toEqual([true, false])
  })

  it('may be typed ahead', async () => {
    const { input, output } = terminal()

    const reading = readNewPassword(false, { stdin: input, stderr: output })
    input.write('pass word\rpass word\rmore\r')

    expect(await reading).toBe('pass word')
  })

  it.each([
    ['typed otherwise the second time', 'one secret\rtwo secret\r', 'two different passwords'],
    ['given up with Ctrl-C', 'one secret\u0003', 'there was no password'],
    ['given up the second time', 'one secret\rone secret\u0003', 'there was no password'],
    ['given up with Ctrl-D', '\u0004', 'there was no password'],
  ])('is none when it is %s, and the terminal is as it was', async (_, typed, sentence) => {
    const { input, output, modes, seen } = terminal()

    const reading = readNewPassword(false, { stdin: input, stderr: output })
    input.write(typed)

    const error: unknown = await reading.catch((reason: unknown) => reason)
    expect(error).toMatchObject({ message: expect.stringContaining(sentence) as string })
    expect(`${String(error)}${seen()}`).not.toContain('secret')
    expect(modes.at(-1)).toBe(false)
  })
})

describe('a password on standard input', () => {
  const read = (...pieces: (string | Buffer)[]) => {
    const input = new PassThrough()
    for (const piece of pieces) input.write(piece)
    input.end()
    return readNewPassword(true, { stdin: input, stderr: new PassThrough() })
  }

  it.each([
    ['secret one', 'secret one'],
    ['secret one\n', 'secret one'],
    ['secret one\r\n', 'secret one'],
    [' secret ', ' secret '],
    ['sücret', 'sücret'],
  ])('is the one line of it: %j', async (text, expected) => {
    expect(await read(text)).toBe(expected)
  })

  it('may come in any pieces', async () => {
    const bytes = Buffer.from('sücret one\n')

    expect(await read(bytes.subarray(0, 2), bytes.subarray(2))).toBe('sücret one')
  })

  it.each([
    ['', 'standard input has no password'],
    ['\n', 'standard input has no password'],
    ['secret\nsecret', 'standard input has more than one line'],
    ['secret\n\n', 'standard input has more than one line'],
    ['secret'.repeat(20_000), 'standard input has more than one line'],
    [Buffer.from([0x73, 0xff, 0x73]), 'standard input is no UTF-8 text'],
  ])('is nothing else: %j', async (text, sentence) => {
    await expect(read(text)).rejects.toThrow(new Error(sentence))
  })
})
