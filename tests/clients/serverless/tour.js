'use strict'

// A service of functions, sequences, packages, triggers, rules and an API, deployed by the Serverless Framework with its
// plugin for OpenWhisk, used, changed, deployed again and removed.

const assert = require('assert')
const { execFileSync, spawnSync } = require('child_process')
const fs = require('fs')
const path = require('path')
const { pick, say, tour, until } = require('../say')

// Where the framework and its plugin are.
const modules = process.env.NODE_PATH
const openwhisk = require('openwhisk')
const ow = openwhisk({ apihost: process.env.TOUR_HOST, api_key: process.env.TOUR_KEY })
const folder = path.join(process.env.TOUR_SCRATCH, 'service')

/** What the framework says about itself and its own dependencies. */
const NOISE = /^Serverless: (Configuration|You're|Please|You may|Learn|Packaging|Excluding|Compiling)|^Serverless:$|AWS SDK|no longer receive|Please migrate|more information|trace-warnings/

/** Runs the program; gives its exit code and what it printed, without colours and the framework's own headings. */
function serverless (args, env = {}) {
  const done = spawnSync('node', [path.join(modules, 'serverless/bin/serverless.js'), ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, OW_APIHOST: process.env.TOUR_HOST, OW_AUTH: process.env.TOUR_KEY, SLS_TRACKING_DISABLED: '1', SLS_DEPRECATION_DISABLE: '*', SLS_INTERACTIVE_SETUP_ENABLE: '0', CI: 'true', ...env }
  })
  // eslint-disable-next-line no-control-regex
  const text = `${done.stdout}${done.stderr}`.replace(/\u001b\[[0-9;]*m/g, '')
  const lines = text.split('\n').map(line => line.trimEnd()).filter(line => line && !NOISE.test(line))
  return { code: done.status, lines }
}

/** What is deployed at the same time comes in lists in any order: names of a line, and addresses of web actions, sorted. */
function sorted (lines) {
  const addresses = lines.filter(line => line.startsWith('https://'))
  const rest = lines.filter(line => !line.startsWith('https://'))
  return rest.map(line => line.split('    ').sort().join('    ')).concat(addresses.sort())
}

/** Runs the program, which must succeed, and says what it printed. */
function run (...args) {
  const { code, lines } = serverless(args)
  assert.strictEqual(code, 0, lines.join('\n'))
  say(args.join(' '), sorted(lines))
}

/** Archives a file of the service, as the framework would. */
function archive (file) {
  execFileSync('python3', ['-m', 'zipfile', '-c', `${path.parse(file).name}.zip`, file], { cwd: folder })
}

const names = list => list.map(entity => entity.name).sort()

async function deployed () {
  const all = await ow.namespaces.get()
  say('what is there', Object.fromEntries(Object.entries(all).map(([kind, list]) => [kind, names(list)])))
}

async function deploying () {
  fs.cpSync(path.join(__dirname, 'service'), folder, { recursive: true })
  fs.symlinkSync(modules, path.join(folder, 'node_modules'))
  archive('hello.js')
  archive('calculate.py')
  run('deploy')
  await deployed()
  const hello = await ow.actions.get('tour-dev-hello')
  say('a function', { ...pick(hello, 'parameters annotations limits'), ...pick(hello.exec, 'kind binary') })
  say('a binding', (await ow.packages.get('helpers')).binding)
  say('a trigger', pick(await ow.triggers.get('visit'), 'parameters rules'))
}

async function invoking () {
  run('invoke', '--function', 'hello', '--data', '{"name": "Ada"}')
  run('invoke', '--function', 'sum', '--data', '{"a": 1, "b": 2}')
  run('invoke', '--function', 'loud', '--data', '{"name": "Grace"}')
  await until(async () => (await ow.activations.list({ name: 'tour-dev-hello' })).length > 0)
  const { lines } = serverless(['logs', '--function', 'hello'])
  say('logs', lines.filter(line => line.includes('greeting')).slice(0, 1))
  const { activationId } = await ow.triggers.invoke({ name: 'arrival', params: { name: 'Edsger' } })
  const record = await until(() => ow.activations.get(activationId))
  const ran = JSON.parse(record.logs[0]).activationId
  say('by the rule', (await until(() => ow.activations.get(ran))).response.result)
  const web = await fetch(`${process.env.TOUR_HOST}/api/v1/web/guest/default/tour-dev-web?name=Alan`)
  say('web action', [web.status, await web.text()])
}

async function routes () {
  const { apis: [{ value }] } = await ow.routes.list()
  say('the API', { ...pick(value.apidoc, 'basePath info'), paths: Object.keys(value.apidoc.paths) })
  const page = await fetch(`${value.gwApiUrl}/page?q=1`)
  say('a page', [page.status, await page.json()])
  const item = await fetch(`${value.gwApiUrl}/items/7`, { method: 'POST' })
  say('an item', [item.status, await item.json()])
  say('what no path names', (await fetch(`${value.gwApiUrl}/absent`)).status)
}

async function changing () {
  const file = path.join(folder, 'hello.js')
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('greeting: `', 'greeting: `Again: '))
  archive('hello.js')
  run('deploy')
  await deployed()
  run('invoke', '--function', 'hello', '--data', '{"name": "Ada"}')
  say('a version later', (await ow.actions.get('tour-dev-hello')).version)
  run('deploy', 'function', '--function', 'sum')
  run('info')
}

async function stumbling () {
  const stranger = serverless(['deploy'], { OW_AUTH: '00000000-0000-0000-0000-000000000000:wrong' })
  assert.notStrictEqual(stranger.code, 0)
  // Two packages are deployed at a time; whichever is refused first is told of.
  const refusals = stranger.lines.filter(line => line.includes('authentication'))
  say('wrong key', refusals.map(line => line.replace(/\b(helpers|text)\b/g, 'PACKAGE')))
  await ow.actions.delete('tour-dev-sum')
  const absent = serverless(['invoke', '--function', 'sum'])
  assert.notStrictEqual(absent.code, 0)
  say('not deployed', absent.lines.filter(line => line.includes('does not exist')))
  const nobody = serverless(['info'], { OW_APIHOST: '' })
  assert.notStrictEqual(nobody.code, 0)
  say('no host', nobody.lines.filter(line => line.includes('OW_')))
  await ow.actions.update({ name: 'tour-dev-sum', action: 'function main() {}' })
}

async function removing () {
  run('remove')
  await deployed()
  say('the API', (await ow.routes.list()).apis)
}

tour([deploying, invoking, routes, changing, stumbling, removing])
