'use strict'

// The whole programming model as the npm package `openwhisk` offers it.

const assert = require('assert')
const { execFileSync } = require('child_process')
const fs = require('fs')
const path = require('path')
const openwhisk = require('openwhisk')
const { pick, refused, say, tour, until } = require('../say')

const connection = { apihost: process.env.TOUR_HOST, api_key: process.env.TOUR_KEY }
const ow = openwhisk(connection)
const friend = openwhisk({ ...connection, api_key: process.env.TOUR_OTHER_KEY })

const GREET = `function main({ name = 'stranger', salutation = 'Hello' }) {
  console.log('greeting', name)
  return { greeting: salutation + ', ' + name }
}`

const named = (...names) => ({ annotations: Object.fromEntries(names) })
const names = list => list.map(entity => entity.name).sort()
const record = id => until(() => ow.activations.get(id))

/** An archive made of these files, as a buffer. */
function archive (files) {
  const folder = fs.mkdtempSync(path.join(process.env.TOUR_SCRATCH, 'zip-'))
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text)
  execFileSync('python3', ['-m', 'zipfile', '-c', 'action.zip', ...Object.keys(files)], { cwd: folder })
  return fs.readFileSync(path.join(folder, 'action.zip'))
}

async function kinds () {
  const node = await ow.actions.create({ name: 'greet', action: GREET, params: { salutation: 'Hi' } })
  say('create', pick(node, 'namespace name version publish exec parameters annotations limits'))
  say('invoke', await ow.actions.invoke({ name: 'greet', params: { name: 'Ada' }, blocking: true, result: true }))
  say('invoke by name alone', Object.keys(await ow.actions.invoke('greet')))

  await ow.actions.create({ name: 'sum', kind: 'python:default', action: 'def main(args):\n  return {"sum": args["a"] + args["b"]}\n' })
  say('python', await ow.actions.invoke({ name: 'sum', params: { a: 1, b: 2 }, blocking: true, result: true }))

  const code = '#!/bin/sh\necho "{\\"got\\": $1}"\n'
  await ow.actions.create({ name: 'shell', action: { exec: { kind: 'blackbox', image: 'openwhisk/dockerskeleton', code } } })
  say('native', await ow.actions.invoke({ name: 'shell', params: { a: [1, null, '\u00fc'] }, blocking: true, result: true }))

  const zip = archive({ 'package.json': '{"main": "app.js"}', 'app.js': "exports.main = args => ({ part: require('./part').text })", 'part.js': "exports.text = 'from another file'" })
  const zipped = await ow.actions.create({ name: 'zipped', action: zip, kind: 'nodejs:20' })
  say('zip', pick(zipped.exec, 'kind binary'))
  say('zip invoke', await ow.actions.invoke({ name: 'zipped', blocking: true, result: true }))
  const pyzip = archive({ '__main__.py': 'from part import text\n\ndef main(args):\n  return {"part": text}\n', 'part.py': 'text = "from a module"\n' })
  await ow.actions.create({ name: 'pyzip', action: pyzip, kind: 'python:default' })
  say('python zip', await ow.actions.invoke({ name: 'pyzip', blocking: true, result: true }))
  await ow.actions.create({ name: 'other-main', action: 'function go() { return { main: "go" } }', exec: { main: 'go' } })
  say('another main', await ow.actions.invoke({ name: 'other-main', blocking: true, result: true }))
  await ow.actions.create({ name: 'array', action: 'function main() { return [1, 2, { a: 3 }] }' })
  say('array', await ow.actions.invoke({ name: 'array', blocking: true }))
}

async function actions () {
  const updated = await ow.actions.update({ name: 'greet', action: GREET, version: '1.2.3', limits: { timeout: 30000, memory: 128, logs: 1 }, ...named(['note', { a: 1 }]) })
  say('update', pick(updated, 'version parameters annotations limits'))
  const kept = await ow.actions.update({ name: 'greet', params: { salutation: 'Good day' } })
  say('update without code', pick(kept, 'version exec parameters annotations'))
  say('get without code', (await ow.actions.get({ name: 'greet', code: false })).exec)
  say('get by full name', (await ow.actions.get('/guest/greet')).name)
  say('list', names(await ow.actions.list()))
  say('list a page', (await ow.actions.list({ skip: 1, limit: 2 })).length)
  say('list: members', Object.keys((await ow.actions.list({ limit: 1 }))[0]).sort())
  say('count', await ow.actions.list({ count: true }))
  await ow.actions.update({ name: 'sum', params: { a: 40 } })
  say('invoke several', (await ow.actions.invoke([{ name: 'sum', params: { b: 2 }, blocking: true, result: true }, { name: 'sum', params: { a: 1, b: 1 }, blocking: true, result: true }])))
  say('delete', (await ow.actions.delete('other-main')).name)
  say('get several', names(await ow.actions.get(['array', 'pyzip'])))
  say('delete several', names(await ow.actions.delete(['array', 'pyzip'])))
}

async function packages () {
  const made = await ow.packages.create({ name: 'tools', package: { publish: true, parameters: [{ key: 'tone', value: 'dry' }], annotations: [{ key: 'description', value: 'of the tour' }] } })
  say('create', pick(made, 'namespace name version publish binding parameters annotations'))
  const show = 'function main(args) { return args }'
  await ow.actions.create({ name: 'tools/show', action: show, params: { depth: 1, tone: 'loud' } })
  say('invoke', await ow.actions.invoke({ name: 'tools/show', params: { depth: 2 }, blocking: true, result: true }))
  const got = await ow.packages.get('tools')
  say('get', { ...pick(got, 'name version publish binding'), actions: got.actions.map(action => pick(action, 'name version annotations')), feeds: got.feeds })
  say('update', pick(await ow.packages.update({ name: 'tools', package: { annotations: [{ key: 'extra', value: true }] } }), 'version publish parameters annotations'))

  const bound = await friend.packages.create({ name: 'borrowed', package: { binding: { namespace: 'guest', name: 'tools' }, parameters: [{ key: 'tone', value: 'bound' }] } })
  say('bind', pick(bound, 'namespace name binding parameters annotations'))
  say('invoke through a binding', await friend.actions.invoke({ name: 'borrowed/show', blocking: true, result: true }))
  say('invoke what is public', await friend.actions.invoke({ name: '/guest/tools/show', blocking: true, result: true }))
  say('list what is public', (await friend.packages.list({ namespace: 'guest', public: true })).map(pkg => pick(pkg, 'namespace name publish')))
  say('list', names(await ow.packages.list({ skip: 0, limit: 10 })))
  say('the catalog', names(await ow.packages.list({ namespace: 'whisk.system' })).includes('utils'))
  say('an action of the catalog', await ow.actions.invoke({ name: '/whisk.system/utils/echo', params: { a: 1 }, blocking: true, result: true }))
  say('private to others', await refused(friend.actions.invoke({ name: '/guest/greet', blocking: true })))
  say('delete, but full', await refused(ow.packages.delete('tools')))
  await friend.packages.delete('borrowed')
}

async function sequences () {
  await ow.actions.create({ name: 'shout', action: 'function main({ greeting }) { return { greeting: greeting.toUpperCase() } }' })
  const made = await ow.actions.create({ name: 'loud', sequence: ['/_/greet', '/_/shout'] })
  say('create', pick(made, 'name exec annotations'))
  const whole = await ow.actions.invoke({ name: 'loud', params: { name: 'Grace' }, blocking: true })
  say('invoke', pick(whole, 'name namespace response annotations logs'))
  assert.strictEqual(whole.logs.length, 2)
  for (const id of whole.logs) say('a part', pick(await record(id), 'name cause response'))
  say('with nothing in it', await refused(ow.actions.create({ name: 'none', sequence: ['/_/absent'] })))
}

async function triggersAndRules () {
  await ow.triggers.create({ name: 'visit', trigger: { parameters: [{ key: 'name', value: 'somebody' }], annotations: [{ key: 'of', value: 'tour' }] } })
  say('fire without a rule', await ow.triggers.invoke({ name: 'visit' }))
  const rule = await ow.rules.create({ name: 'on-visit', trigger: 'visit', action: 'greet' })
  say('create a rule', pick(rule, 'name status trigger action'))
  const fired = await ow.triggers.invoke({ name: 'visit', params: { name: 'Edsger' } })
  say('fire', Object.keys(fired))
  const trigger = await record(fired.activationId)
  say('its record', pick(trigger, 'name response'))
  const log = JSON.parse(trigger.logs[0])
  say('its log', pick(log, 'statusCode success rule action'))
  say('what it ran', pick(await record(log.activationId), 'name cause response'))
  say('disable', await ow.rules.disable({ name: 'on-visit' }))
  say('status', (await ow.rules.get('on-visit')).status)
  say('fire with a rule that sleeps', await ow.triggers.invoke({ name: 'visit' }))
  say('enable', await ow.rules.enable({ name: 'on-visit' }))
  say('the trigger', (await ow.triggers.get('visit')).rules)
  say('update', pick(await ow.triggers.update({ name: 'visit', trigger: { parameters: [] } }), 'version parameters annotations'))
  say('lists', [names(await ow.triggers.list({ limit: 5 })), names(await ow.rules.list({ limit: 5 }))])
  say('a rule for nothing', await refused(ow.rules.create({ name: 'lost', trigger: 'absent', action: 'greet' })))
  say('a rule that does nothing', await refused(ow.rules.create({ name: 'lost', trigger: 'visit', action: 'absent' })))
  say('delete', [(await ow.rules.delete('on-visit')).name, (await ow.triggers.delete('visit')).name])
}

/** A feed that fires its trigger with the first of its lines, over plain HTTP: the client library is not in every sandbox. */
const FEED = `const http = require('http')
const post = (url, key, body) => new Promise((resolve, reject) => {
  const headers = { authorization: 'Basic ' + Buffer.from(key).toString('base64'), 'content-type': 'application/json' }
  const request = http.request(url, { method: 'POST', headers }, response => {
    response.resume().on('end', () => resolve(response.statusCode))
  })
  request.on('error', reject).end(JSON.stringify(body))
})
async function main ({ lifecycleEvent, triggerName, authKey, lines }) {
  const [, namespace, name] = triggerName.split('/')
  const url = process.env.__OW_API_HOST + '/api/v1/namespaces/' + namespace + '/triggers/' + name
  const fired = lifecycleEvent === 'CREATE' ? await post(url, authKey, { line: lines[0] }) : undefined
  return { lifecycleEvent, triggerName, lines, fired }
}`

async function feeds () {
  await ow.actions.create({ name: 'tools/lines', action: { exec: { kind: 'nodejs:default', code: FEED }, annotations: [{ key: 'feed', value: true }] } })
  say('a feed among its package', (await ow.packages.get('tools')).feeds.map(feed => feed.name))
  await ow.triggers.create({ name: 'line', trigger: { annotations: [{ key: 'feed', value: '/guest/tools/lines' }] } })
  await ow.rules.create({ name: 'on-line', trigger: 'line', action: 'tools/show' })
  const options = { name: 'tools/lines', trigger: 'line', params: { lines: ['one', 'two'] } }
  say('create', (await ow.feeds.create(options)).response)
  const ran = await until(async () => (await ow.activations.list({ name: 'tools/show', docs: true })).find(({ response }) => response.result.line))
  say('it fired', pick(ran.response.result, 'line tone depth'))
  for (const event of ['get', 'update', 'delete']) say(event, (await ow.feeds[event](options)).response.result)
  say('a feed that is not there', await refused(ow.feeds.create({ ...options, name: 'tools/absent' })))
  await ow.rules.delete('on-line')
  await ow.triggers.delete('line')
}

async function webActions () {
  const web = named(['web-export', true], ['final', true])
  const code = `function main (args) {
    const { __ow_method: method, __ow_path: path, __ow_headers: headers, __ow_body, ...rest } = args
    return { statusCode: 203, headers: { 'x-tour': 'yes', 'content-type': 'application/json' }, body: { method, path, agent: headers['user-agent'], rest } }
  }`
  const made = await ow.actions.create({ name: 'web', action: code, params: { fixed: 1 }, ...web })
  say('create', made.annotations)
  const url = `${process.env.TOUR_HOST}/api/v1/web/guest/default/web`
  const answer = await fetch(`${url}.http/a/path?b=2`, { headers: { 'user-agent': 'tour' } })
  say('call', { status: answer.status, header: answer.headers.get('x-tour'), body: await answer.json() })
  say('a final parameter', await (await fetch(`${url}.json?fixed=2`)).json())
  const secured = { action: 'function main(args) { return { body: "open" } }', ...named(['web-export', true], ['require-whisk-auth', 'sesame']) }
  await ow.actions.create({ name: 'secured', ...secured })
  const ask = headers => fetch(`${process.env.TOUR_HOST}/api/v1/web/guest/default/secured`, { headers })
  say('secured', [(await ask({})).status, await (await ask({ 'x-require-whisk-auth': 'sesame' })).text()])
  say('not a web action', (await fetch(`${process.env.TOUR_HOST}/api/v1/web/guest/default/greet`)).status)
}

async function routes () {
  const code = 'function main ({ __ow_method: method, __ow_path: path, q }) { return { statusCode: 201, headers: { "x-tour": "yes" }, body: { method, path, q } } }'
  await ow.actions.create({ name: 'books', action: code, ...named(['web-export', true], ['require-whisk-auth', 'sesame']) })
  const options = { name: 'Club', basepath: '/club', action: 'books', responsetype: 'http', secure_key: 'sesame' }
  const made = await ow.routes.create({ ...options, relpath: '/books', operation: 'get' })
  say('create', pick(made.apidoc, 'basePath info paths'))
  await ow.routes.create({ ...options, relpath: '/books/{isbn}', operation: 'post' })
  const again = await ow.routes.create({ ...options, relpath: '/books', operation: 'get' })
  say('create again', Object.keys(again.apidoc.paths))
  const list = await ow.routes.list()
  say('list', list.apis.map(({ value }) => [value.gwApiUrl.split('/').pop(), Object.keys(value.apidoc.paths)]))
  const url = list.apis[0].value.gwApiUrl
  for (const [method, path] of [['GET', '/books?q=1'], ['POST', '/books/7'], ['PUT', '/books'], ['GET', '/films']]) {
    const answer = await fetch(url + path, { method })
    say(`${method} ${path}`, [answer.status, answer.headers.get('x-tour'), await answer.json()])
  }
  say('get', (await ow.routes.get({ basepath: '/club' })).apis.length)
  say('get by name', (await ow.routes.get({ name: 'Club' })).apis.length)
  say('get a part', Object.keys((await ow.routes.list({ basepath: '/club', relpath: '/books', operation: 'get' })).apis[0].value.apidoc.paths))
  await ow.routes.delete({ basepath: '/club', relpath: '/books', operation: 'get' })
  say('without one', (await fetch(`${url}/books`)).status)
  await ow.routes.delete({ basepath: '/club' })
  say('without any', (await ow.routes.list()).apis)

  const swagger = { swagger: '2.0', info: { title: 'Imported', version: '1.0' }, basePath: '/imported', paths: { '/x': { get: { operationId: 'x', responses: {}, 'x-openwhisk': { action: 'web', namespace: 'guest', package: 'default', url: `${process.env.TOUR_HOST}/api/v1/web/guest/default/web.http` } } } }, 'x-ibm-configuration': { cors: { enabled: true }, assembly: { execute: [{ 'operation-switch': { case: [{ operations: ['x'], execute: [{ invoke: { 'target-url': `${process.env.TOUR_HOST}/api/v1/web/guest/default/web.http`, verb: 'keep' } }] }] } }] } } }
  const imported = await ow.routes.create({ swagger: JSON.stringify(swagger) })
  const preflight = await fetch(`${imported.gwApiUrl}/x`, { method: 'OPTIONS', headers: { origin: 'http://tour', 'access-control-request-method': 'GET' } })
  say('imported', [(await fetch(`${imported.gwApiUrl}/x`)).status, preflight.status, preflight.headers.get('access-control-allow-origin')])
  say('its title', (await ow.routes.list({ name: 'Imported' })).apis.map(({ value }) => value.apidoc.info.title))
  say('export', Object.keys((await ow.routes.get({ basepath: '/imported' })).apis[0].value.apidoc))
  await ow.routes.delete({ name: 'Imported' })
  say('one that is not there', await refused(ow.routes.delete({ basepath: '/absent' })))
  await ow.routes.create({ ...options, relpath: '/a', operation: 'get', action: 'absent' })
  say('an action that is not there', (await fetch(`${url}/a`)).status)
  await ow.routes.delete({ basepath: '/club' })
  say('a bad path', await refused(ow.routes.create({ ...options, relpath: 'a', operation: 'get' })))
  say('a bad document', await refused(ow.routes.create({ swagger: '{"swagger": 2' })))
  const stranger = openwhisk({ ...connection, api_key: '00000000-0000-0000-0000-000000000000:wrong' })
  say('wrong key', await refused(stranger.routes.list()))
}

async function activations () {
  const since = Date.now()
  const { activationId } = await ow.actions.invoke({ name: 'greet', params: { name: 'Alan' } })
  const whole = await record(activationId)
  say('get', whole)
  say('logs', await ow.activations.logs(activationId))
  say('result', await ow.activations.result({ name: activationId }))
  const listed = await until(async () => {
    const list = await ow.activations.list({ name: 'greet', since })
    return list.length === 1 && list
  })
  say('list', listed)
  say('list with documents', (await ow.activations.list({ name: 'greet', since, docs: true })).map(one => pick(one, 'name response')))
  say('list before', (await ow.activations.list({ upto: 1000 })).length)
  say('list a page', (await ow.activations.list({ skip: 1, limit: 3 })).length)
  const { activations } = await ow.activations.list({ name: 'greet', count: true })
  assert.ok(activations > 3, `${activations} activations of greet`)
  say('one that is not there', await refused(ow.activations.get('0123456789abcdef0123456789abcdef')))
  say('no id at all', await refused(ow.activations.get('nonsense')))
}

async function namespaces () {
  say('list', await ow.namespaces.list())
  const all = await ow.namespaces.get()
  say('get', Object.fromEntries(Object.entries(all).map(([kind, list]) => [kind, names(list)])))
  say('another', await refused(openwhisk({ ...connection, namespace: 'friend' }).actions.list()))
}

async function errors () {
  const stranger = openwhisk({ ...connection, api_key: '00000000-0000-0000-0000-000000000000:wrong' })
  const wrong = await refused(stranger.actions.list())
  say('wrong key', wrong)
  say('its body', wrong.error)
  say('unknown action', await refused(ow.actions.get('absent')))
  say('unknown package', await refused(ow.actions.invoke({ name: 'absent/action' })))
  const conflict = await refused(ow.actions.create({ name: 'greet', action: GREET }))
  say('conflict', conflict)
  say('its members', pick(conflict, 'statusCode name'))
  say('bad name', await refused(ow.actions.create({ name: 'bad!name', action: GREET })))
  say('unknown kind', await refused(ow.actions.create({ name: 'cobol', kind: 'cobol:60', action: 'x' })))
  say('bad limit', await refused(ow.actions.create({ name: 'huge', action: GREET, limits: { memory: 1000000 } })))
  say('bad limit of a list', await refused(ow.actions.list({ limit: 1000 })))
  const failing = { says: 'return { error: "no more" }', nested: 'return { error: { error: "deep" } }', status: 'return { error: { statusCode: 404 } }', throws: 'throw new Error("thrown")', rejects: 'return Promise.reject({ reason: 1 })', syntax: 'return {', slow: 'return new Promise(() => {})', exits: 'process.exit(3)', text: 'return "text"' }
  for (const [name, body] of Object.entries(failing)) {
    await ow.actions.create({ name: `fail-${name}`, action: `function main() { ${body} }`, limits: { timeout: name === 'slow' ? 5000 : 60000 } })
    const error = await refused(ow.actions.invoke({ name: `fail-${name}`, blocking: true }))
    say(name, error)
    say('its response', pick(error.error.response || {}, 'status success result'))
  }
  const nobody = openwhisk({ ...connection, apihost: 'http://127.0.0.1:1' })
  say('nobody there', (await refused(nobody.actions.list())).message.startsWith('Unknown Error From API: '))
  say('not deleted twice', await refused(ow.actions.delete('absent')))
}

async function overTls () {
  const apihost = process.env.TOUR_SECURE_HOST
  const careless = openwhisk({ ...connection, apihost, ignore_certs: true })
  say('without a look at the certificate', names(await careless.packages.list()))
  const wary = openwhisk({ ...connection, apihost })
  say('the certificate of its own', (await refused(wary.packages.list())).message)
  const script = "require('openwhisk')({ apihost: process.env.TOUR_SECURE_HOST, api_key: process.env.TOUR_KEY }).namespaces.list().then(list => console.log(list))"
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: process.env.TOUR_CERTIFICATE }
  say('with the certificate trusted', execFileSync('node', ['-e', script], { env, encoding: 'utf8' }).trim())
}

async function retries () {
  let tries = 0
  let made
  const onRetry = () => { made = ++tries === 1 ? ow.actions.create({ name: 'late', action: GREET }) : made }
  const patient = openwhisk({ ...connection, retry: { retries: 5, minTimeout: 200, onRetry } })
  say('found at last', (await patient.actions.get('late')).name)
  await made
  assert.ok(tries >= 1)
  say('given up', await refused(openwhisk({ ...connection, retry: { retries: 1, minTimeout: 10 } }).actions.get('absent')))
}

async function leaving () {
  for (const { name, namespace } of await ow.actions.list({ limit: 200 })) {
    const parts = namespace.split('/').slice(1).concat(name)
    await ow.actions.delete(parts.join('/'))
  }
  await ow.packages.delete('tools')
  say('nothing is left', Object.values(await ow.namespaces.get()).map(list => list.length))
}

tour([kinds, actions, packages, sequences, triggersAndRules, feeds, webActions, routes, activations, namespaces, errors, overTls, retries, leaving])
