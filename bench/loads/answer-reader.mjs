import { Buffer } from 'node:buffer'

const headEnd = Buffer.from('\r\n\r\n')
const lineFeed = 10

/**
 * Reads the answers on one HTTP connection from pieces of any size, keeps their heads, and drops
 * their bodies: a client that held on to what it received would be what is measured.
 */
export class AnswerReader {
  #onAnswer
  #hasBody = true
  /** The start of a head whose end has not come yet. */
  #unread = Buffer.alloc(0)
  #head
  #status = 0
  #bytes = 0
  /** Of a body with a length. */
  #bytesLeft = 0
  /** @type {ChunkSkipper | undefined} of a body without one */
  #chunks

  /** @param {(answer: { status: number, head: string, bytes: number }) => void} onAnswer */
  constructor(onAnswer) {
    this.#onAnswer = onAnswer
  }

  /** Bytes of the present answer's body so far. */
  get bytes() {
    return this.#bytes
  }

  /** Before each request. */
  expect(method) {
    this.#hasBody = method !== 'HEAD'
    this.#bytes = 0
  }

  /**
   * @param {Buffer} piece - may be reused afterwards
   * @throws {Error} when it is not HTTP as a registry speaks it
   */
  read(piece) {
    const body = this.#head === undefined ? this.#readHead(piece) : piece
    if (body !== undefined) this.#readBody(body)
  }

  #readHead(piece) {
    const seen = this.#unread.byteLength === 0 ? piece : Buffer.concat([this.#unread, piece])
    const end = seen.indexOf(headEnd)
    if (end === -1) {
      this.#unread = Buffer.from(seen)
      return undefined
    }
    if (this.#unread.byteLength > 0) this.#unread = Buffer.alloc(0)
    const head = seen.latin1Slice(0, end)
    this.#head = head
    this.#status = Number(head.slice(9, 12))
    this.#startBody(head)
    return seen.subarray(end + headEnd.byteLength)
  }

  #startBody(head) {
    this.#bytesLeft = 0
    if (!this.#hasBody || this.#status === 204 || this.#status === 304) return
    const length = headerIn(head, 'content-length')
    if (length !== undefined) this.#bytesLeft = Number(length)
    else if (headerIn(head, 'transfer-encoding') === 'chunked') this.#chunks = new ChunkSkipper()
    else throw new Error(`an answer without a length: ${head}`)
  }

  #readBody(piece) {
    if (this.#chunks !== undefined) {
      this.#bytes += this.#chunks.skip(piece)
      if (!this.#chunks.isOver) return
      this.#chunks = undefined
    } else {
      if (piece.byteLength > this.#bytesLeft) throw new Error('more than was asked for')
      this.#bytes += piece.byteLength
      this.#bytesLeft -= piece.byteLength
      if (this.#bytesLeft > 0) return
    }
    const answer = { status: this.#status, head: this.#head, bytes: this.#bytes }
    this.#head = undefined
    this.#onAnswer(answer)
  }
}

/** Finds the end of a body in chunks. */
class ChunkSkipper {
  isOver = false
  #line = ''
  /** With the line end behind it. */
  #chunkLeft = 0
  #isLast = false

  /** @returns how many bytes of content there were */
  skip(piece) {
    let content = 0
    let at = 0
    while (at < piece.byteLength && !this.isOver) {
      if (this.#chunkLeft > 0) {
        const skipped = Math.min(this.#chunkLeft, piece.byteLength - at)
        content += Math.min(skipped, Math.max(0, this.#chunkLeft - 2))
        this.#chunkLeft -= skipped
        at += skipped
        continue
      }
      const end = piece.indexOf(lineFeed, at)
      this.#line += piece.latin1Slice(at, end === -1 ? piece.byteLength : end)
      if (end === -1) return content
      at = end + 1
      this.#readLine(this.#line.trim())
      this.#line = ''
    }
    return content
  }

  #readLine(line) {
    if (this.#isLast) {
      this.isOver = line === ''
      return
    }
    const size = Number.parseInt(line, 16)
    if (size > 0) this.#chunkLeft = size + 2
    else this.#isLast = true
  }
}

/** The value of a header in the head of an answer; undefined when it is not there. */
export function headerIn(head, name) {
  const at = head.toLowerCase().indexOf(`\r\n${name}: `)
  if (at === -1) return undefined
  const start = at + name.length + 4
  const end = head.indexOf('\r\n', start)
  return head.slice(start, end === -1 ? undefined : end)
}
