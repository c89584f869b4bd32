'use strict'

// What `wskdebug` does to a platform: it puts an agent in the place of an action, takes each activation from it, answers with
// what ran locally, and puts the action back. The local run is ours here; the program itself needs a Docker engine for it.

const AgentMgr = require('@openwhisk/wskdebug/src/agentmgr')
const log = require('@openwhisk/wskdebug/src/log')
const openwhisk = require('openwhisk')
const { pick, say, tour } = require('../say')

const ow = openwhisk({ apihost: process.env.TOUR_HOST, api_key: process.env.TOUR_KEY })
const invoke = params => ow.actions.invoke({ name: 'watched', params, blocking: true, result: true })
const annotated = action => action.annotations.map(annotation => annotation.key)

// Its own messages are for people at a terminal.
log.quiet(true)
log.succeed = () => {}

async function debugging () {
  const code = 'function main(args) { return { ran: "there", args } }'
  await ow.actions.create({ name: 'watched', action: code, params: { fixed: 1 } })
  const agent = new AgentMgr({ agentTimeout: 60 }, ow, 'watched')
  say('peek', pick(await agent.peekAction(), 'name parameters'))
  await agent.readActionWithCode()
  await agent.installAgent({}, () => {})
  await agent.createBackup
  const inPlace = await ow.actions.get('watched')
  say('in its place', { agent: annotated(inPlace).includes('wskdebug'), parameters: inPlace.parameters, ...pick(inPlace.limits, 'timeout concurrency') })
  say('actions meanwhile', (await ow.actions.list()).map(action => action.name).sort())

  for (const n of [1, 2]) {
    const waiting = agent.waitForActivations()
    // The agent takes its eyes off what was there before it began to wait.
    await new Promise(resolve => setImmediate(resolve))
    const answer = invoke({ n })
    const { $activationId: id, ...args } = await waiting
    say('taken', args)
    await agent.completeActivation(id, { ran: 'here', n }, 1)
    say('answered', await answer)
  }

  agent.stop()
  await agent.shutdown()
  const back = await ow.actions.get('watched')
  // Annotations are merged, here as there: that of the agent stays.
  say('back', { agent: annotated(back).includes('wskdebug'), code: back.exec.code === code, ...pick(back.limits, 'timeout concurrency') })
  say('as before', await invoke({ n: 3 }))
  say('actions left', (await ow.actions.list()).map(action => action.name).sort())
}

tour([debugging])
