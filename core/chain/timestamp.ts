/** ISO 8601 in UTC with milliseconds and `Z`, the only form there is (protocol section 1). */
export type Timestamp = string

const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/

/** Milliseconds since 1970, or undefined where the text is not of the form or names no real moment (month 13). */
export function parseTimestamp(text: unknown): number | undefined {
  if (typeof text !== 'string' || !form.test(text)) return undefined
  const milliseconds = Date.parse(text)
  // Date.parse takes 24:00 and some impossible days by rolling them over; only the same text back is a real moment.
  return Number.isNaN(milliseconds) || formatTimestamp(milliseconds) !== text ? undefined : milliseconds
}

export const formatTimestamp = (milliseconds: number): Timestamp => new Date(milliseconds).toISOString()
