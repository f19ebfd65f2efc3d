// Tells what was done, one JSON object a line, and asks whoever sits there: a person who opens an address in a
// browser and pastes the one where it ended, or the tests that play that person.
import { createInterface } from 'node:readline'

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

export const say = (did, more = {}) => console.log(JSON.stringify({ did, ...more }))

export async function ask(what, about) {
  console.log(JSON.stringify({ ask: what, about }))
  return (await answers.next()).value
}

/** The error code of what must fail. */
export async function refused(attempt) {
  try {
    await attempt
  } catch (error) {
    return error.error ?? error.code ?? String(error)
  }
  throw new Error('it was not refused')
}
