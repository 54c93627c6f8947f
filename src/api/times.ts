/** A time on the API: RFC 3339, in UTC. */
export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

export function timeSchema(description: string) {
  return { type: 'string', format: 'date-time', description } as const
}
