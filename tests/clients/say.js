'use strict'

// The transcript of a tour: a line for each step, with what differs from run to run replaced by a word.

const VARYING = [
  [/\b[0-9a-f]{32}\b/g, 'ID'],
  [/"(start|end|updated)":\d+/g, '"$1":TIME'],
  [/"(duration|waitTime|initTime)":\d+/g, '"$1":SPAN'],
  [/"value":\d+\}(?=,|\])(?<="key":"(?:waitTime|initTime)","value":\d+\})/g, '"value":SPAN}'],
  [/"code":"[0-9A-Za-z]{32}"/g, '"code":"TRANSACTION"'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UUID'],
  [/\d{4}-\d\d-\d\d[T ][\d:.]+Z?/g, 'DATE'],
  [/(Valid values are: ).*?\./, '$1KINDS.'],
  [/(\\n|\n)    at .*?(?="|$)/gs, '']
]

/** Text as the transcript shows it. */
function plain (text) {
  const secrets = [[process.env.TOUR_HOST, 'HOST'], [process.env.TOUR_SECURE_HOST, 'SECURE-HOST'], [process.env.TOUR_KEY, 'KEY'], [process.env.TOUR_OTHER_KEY, 'OTHER-KEY']]
  text = secrets.reduce((text, [secret, word]) => text.split(secret).join(word), text)
  return VARYING.reduce((text, [pattern, word]) => text.replace(pattern, word), text)
}

/** Members of `value` that are named in `members`, separated by blanks. */
function pick (value, members) {
  return Object.fromEntries(members.split(' ').map(member => [member, value[member]]))
}

/** One line: the step and what came of it. */
function say (step, value) {
  const text = value instanceof Error
    ? `${value.name}: ${value.message}`
    : typeof value === 'string' ? value : JSON.stringify(value)
  console.log(plain(`${step}: ${text}`))
}

/** The error that `promise` must end in. */
async function refused (promise) {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it was not refused')
}

/** Asks until there is something to give; a tour waits for no fixed time. */
async function until (ask) {
  const end = Date.now() + 60000
  let last
  for (;;) {
    try {
      const value = await ask()
      if (value) return value
    } catch (error) {
      last = error
    }
    if (Date.now() > end) throw new Error(`it did not come to be: ${last}\n${ask}`)
    await new Promise(resolve => setTimeout(resolve, 25))
  }
}

/** Runs the parts of a tour in order; the first failure ends it. */
async function tour (parts) {
  try {
    for (const part of parts) {
      console.log(`# ${part.name}`)
      await part()
    }
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  }
}

module.exports = { pick, refused, say, tour, until }
