'use strict'

// Compositions of every kind, compiled and deployed by `openwhisk-composer` itself, with its two programs and as a library.
// `parallel`, `map` and `async` with a join keep their state in redis, which a platform does not bring; what a composition says
// without one is in the tour.

const assert = require('assert')
const { execFileSync } = require('child_process')
const fs = require('fs')
const path = require('path')
process.env.WSK_CONFIG_FILE = path.join(process.env.TOUR_SCRATCH, 'none')
process.env.__OW_API_HOST = process.env.TOUR_HOST
process.env.__OW_API_KEY = process.env.TOUR_KEY
const composer = require('openwhisk-composer')
const ow = require('openwhisk-composer/client')()
const { pick, refused, say, tour, until } = require('../say')

const record = id => until(() => ow.activations.get(id))
const invoke = (name, params = {}) => ow.actions.invoke({ name, params, blocking: true })
const increment = composer.action('increment', { action: ({ n }) => ({ n: n + 1 }) })
const double = composer.action('double', { action: ({ n }) => ({ n: n * 2 }) })

const COMPOSITIONS = {
  sequence: composer.sequence(increment, double),
  empty: composer.empty(),
  function: composer.function(({ n }) => ({ n: n + 100 })),
  literal: composer.literal({ fixed: [1, { a: null }] }),
  if: composer.if(({ n }) => n % 2 === 0, double, increment),
  'if-nosave': composer.if_nosave(({ n }) => ({ value: n > 2, n }), args => args, () => ({ small: true })),
  while: composer.while(({ n }) => n < 5, increment),
  dowhile: composer.dowhile(double, ({ n }) => n < 20),
  repeat: composer.repeat(3, increment),
  try: composer.try(() => ({ error: 'planned' }), ({ error }) => ({ caught: error })),
  'try-action': composer.try(composer.action('fails', { action: () => { throw new Error('thrown') } }), ({ error }) => ({ caught: error })),
  finally: composer.finally(() => ({ error: 'planned' }), ({ error }) => ({ error: `${error}, and seen` })),
  let: composer.let({ total: 0 }, ({ n }) => { total += n }, increment, ({ n }) => { total += n }, () => ({ total })), // eslint-disable-line no-undef
  mask: composer.let({ n: 42 }, composer.let({ n: 69 }, composer.mask(() => ({ n })))), // eslint-disable-line no-undef
  retain: composer.retain(increment),
  'retain-catch': composer.retain_catch(() => ({ error: 'planned' })),
  merge: composer.merge(() => ({ more: true })),
  retry: composer.let({ tries: 0 }, composer.retry(5, () => ++tries < 3 ? { error: 'again' } : { tries })), // eslint-disable-line no-undef
  'retry-in-vain': composer.retry(2, () => ({ error: 'never' })),
  native: composer.sequence(composer.action('pair', { sequence: ['increment', 'double'] }), increment),
  nested: composer.sequence('sequence', composer.repeat(2, 'if')),
  dynamic: composer.sequence(() => ({ type: 'action', name: 'increment', params: { n: 9 } }), composer.dynamic()),
  escape: composer.sequence('absent'),
  parallel: composer.parallel(increment, double)
}

async function deploying () {
  for (const [name, composition] of Object.entries(COMPOSITIONS)) {
    const actions = await ow.compositions.deploy({ name, ...composition.compile() }, true)
    say(name, actions.map(action => action.name))
  }
  const conductor = await ow.actions.get('sequence')
  const keys = conductor.annotations.map(annotation => annotation.key).sort()
  say('a conductor', { kind: conductor.exec.kind, keys, limits: conductor.limits })
}

async function invoking () {
  for (const name of Object.keys(COMPOSITIONS)) {
    let activation
    try {
      activation = await invoke(name, { n: 3 })
    } catch (error) {
      activation = error.error
    }
    say(name, pick(activation.response, 'status result'))
  }
}

async function records () {
  const whole = await invoke('sequence', { n: 3 })
  say('composition', pick(await record(whole.activationId), 'name response annotations'))
  assert.strictEqual(whole.logs.length, 5)
  for (const id of whole.logs) {
    const part = await record(id)
    assert.strictEqual(part.cause, whole.activationId)
    say('part', pick(part, 'name response'))
  }
  const nested = await invoke('nested', { n: 1 })
  say('nested', nested.response.result)
  const names = await Promise.all(nested.logs.map(async id => (await record(id)).name))
  say('its parts', names)
  const { activationId } = await ow.actions.invoke({ name: 'repeat', params: { n: 0 } })
  say('not waited for', (await record(activationId)).response.result)
}

async function programs () {
  const bin = path.join(path.dirname(require.resolve('openwhisk-composer')), 'bin')
  const folder = process.env.TOUR_SCRATCH
  const run = (program, ...args) => execFileSync('node', [path.join(bin, `${program}.js`), ...args], { cwd: folder, encoding: 'utf8', stdio: 'pipe' }).trim()
  fs.writeFileSync(path.join(folder, 'demo.js'), `
    const composer = require('openwhisk-composer')
    module.exports = composer.if(
      composer.action('authenticate', { action: ({ password }) => ({ value: password === 'abc123' }) }),
      composer.action('welcome', { action: () => ({ message: 'welcome' }) }),
      composer.action('turn-away', { action: () => ({ message: 'turned away' }) }))`)
  run('compose', 'demo.js', '-o', 'demo.json')
  say('deploy', run('deploy', 'demo', 'demo.json', '-w', '-a', 'of=tour', '-m', '128', '--kind', 'nodejs:20'))
  const made = await ow.actions.get('demo')
  say('its limits', { ...pick(made.limits, 'memory timeout'), of: made.annotations.find(({ key }) => key === 'of').value })
  say('welcome', (await invoke('demo', { password: 'abc123' })).response.result)
  say('turned away', (await invoke('demo', { password: 'guessed' })).response.result)
  // The programs end with the status, less 256.
  const again = () => run('deploy', 'demo', 'demo.json')
  assert.throws(again, error => error.status === 409 - 256 && error.stderr.includes('resource already exists'))
  const stranger = () => run('deploy', 'demo', 'demo.json', '-u', 'nobody:nothing')
  assert.throws(stranger, error => error.status === 401 - 256 && error.stderr.includes('authentication is invalid'))
  say('not compiled', await refused(ow.compositions.deploy({ name: 'bad!name', ...composer.empty().compile() })))
}

async function leaving () {
  for (const { name } of await ow.actions.list({ limit: 200 })) await ow.actions.delete(name)
  say('nothing is left', (await ow.actions.list()).length)
}

tour([deploying, invoking, records, programs, leaving])
