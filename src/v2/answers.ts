import type { FastifyReply } from 'fastify'
import { ASK_AGAIN } from '../caching.js'

/** On every answer: very old docker engines tell by it that this is no V1 registry. */
export const API_VERSION_HEADER = 'Docker-Distribution-Api-Version'
export const API_VERSION = 'registry/2.0'

/** A document as exactly this media type; text would get a charset added to it. */
export function sendJson(
  reply: FastifyReply,
  document: unknown,
  mediaType = 'application/json',
): FastifyReply {
  const bytes = Buffer.from(JSON.stringify(document))
  return reply.type(mediaType).header('Cache-Control', ASK_AGAIN).send(bytes)
}

/** 201 and 202 without a body. docker reads a missing length as "until the connection ends". */
export function sendEmpty(reply: FastifyReply, status: 201 | 202): FastifyReply {
  return reply.code(status).header('Content-Length', 0).send()
}

/** Clients read 4096 bytes of warnings; this leaves room for what has to be escaped. */
const warningLengthMax = 2000

/**
 * Tells a person something that is no error; containerd, skopeo and podman print it.
 *
 * @see distribution-spec, "Warnings"
 */
export function warn(reply: FastifyReply, text: string): void {
  const quoted = text
    .slice(0, warningLengthMax)
    .replace(/[^ -~]/g, '?')
    .replace(/["\\]/g, '\\$&')
  reply.header('Warning', `299 - "${quoted}"`)
}

/**
 * Whether an `If-None-Match` says that the client has this already. Go clients send the digest
 * with quotes, without, and as a weak tag.
 *
 * @see RFC 9110, section 13.1.2
 */
export function isKnownToClient(ifNoneMatch: string | undefined, digest: string): boolean {
  if (ifNoneMatch === undefined) return false
  return ifNoneMatch.split(',').some((text) => {
    const tag = text.trim().replace(/^W\//, '')
    return tag === '*' || tag === digest || tag === `"${digest}"`
  })
}
