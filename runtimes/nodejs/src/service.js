'use strict';
// What one request of the proxy does, with the texts and log lines of OpenWhisk's Node.js runtime.

const { existsSync, readFileSync } = require('fs');
const { execFile } = require('child_process');
const { pathToFileURL } = require('url');
const path = require('path');
const evaluate = require('../runner');

// Added to the status of an answer after which this process must not be used again.
const STOPPED = 0x10000;
const INTERNAL = '{"error":"Internal error."}';

// User code may replace what it finds on the globals; the protocol must go on working.
const { parse, stringify } = JSON;
const { keys } = Object;
const isArray = Array.isArray;
const { isBuffer } = Buffer;
const resolved = Promise.resolve.bind(Promise);

// `this` of the user's function is this object, as it is an object of the runtime in OpenWhisk.
const action = { main: undefined };

// An answer whose error text is computed from a value of the user's, which may refuse to become a text.
function failure(reply, describe) {
  let text;
  try {
    text = stringify({ error: describe() });
  } catch {
    reply(500 | STOPPED, INTERNAL);
    return;
  }
  reply(502 | STOPPED, text);
}

// ---- loading

async function initialise(message, reply) {
  try {
    for (const name of keys(message.env || {})) process.env[name] = message.env[name];
    const handler = message.dir === undefined ? evaluateSource(message) : await loadArchive(message);
    if (typeof handler !== 'function') throw `Action entrypoint '${message.main}' is not a function.`;
    action.main = handler;
  } catch (error) {
    console.error('Error during initialization:', error);
    failure(reply, () => `Initialization has failed due to: ${error.stack ? String(error.stack) : error}`);
    return;
  }
  reply(200, '{"OK":true}');
}

// The entry point is an expression in the scope of the code, else a property of what the code exports. The layout decides
// which line and column a trace shows.
function evaluateSource({ main, code }) {
  return evaluate(`(function(){
               ${code}
  try { return ${main}; } catch (e) {
    if (e.name === 'ReferenceError') return module.exports.${main} || exports.${main};
    throw e;
  }
})()`);
}

// An unpacked archive: `main` is a function of the package, or `file.function`.
async function loadArchive({ main, dir }) {
  const parts = /^([^.]+)$|^([^.]+)\.(.+)$/.exec(main);
  if (!parts) throw 'Name of main function is not valid.';
  process.chdir(dir);
  if (parts[2] === undefined && !existsSync('package.json') && !existsSync('index.js')) {
    throw 'Zipped actions must contain either package.json or index.js at the root.';
  }
  await installDependencies();
  const target = stringify(parts[2] === undefined ? dir : path.join(dir, parts[2]));
  const member = parts[3] || parts[1];
  try {
    return evaluate(`require(${target}).${member}`);
  } catch (error) {
    if (!error || (error.code !== 'ERR_REQUIRE_ESM' && error.code !== 'ERR_REQUIRE_ASYNC_MODULE')) throw error;
  }
  const url = stringify(pathToFileURL(evaluate(`require.resolve(${target})`)));
  return evaluate(`import(${url}).then((loaded) => loaded.${member})`);
}

async function installDependencies() {
  if (!existsSync('package.json') || existsSync('node_modules')) return;
  const { dependencies } = parse(readFileSync('package.json', 'utf8')) || {};
  if (process.env.OW_ENABLE_INIT_INSTALL === 'false' || !dependencies || keys(dependencies).length === 0) return;
  const env = { ...process.env, npm_config_cache: process.env.npm_config_cache || '/tmp/.npm' };
  const options = ['install', '--no-audit', '--no-fund', '--omit=dev'];
  await new Promise((resolve, reject) => {
    execFile('npm', options, { env }, (error, out, err) => {
      if (!error) {
        resolve();
        return;
      }
      const reason = (err || out || error.message).trim().split('\n').slice(-5).join('\n');
      reject(`The dependencies in package.json could not be installed. Put node_modules into the archive.\n${reason}`);
    });
  });
}

// ---- running

function run(message, reply) {
  for (const key of keys(message)) {
    const value = message[key];
    if (key !== 'value' && typeof value === 'string') process.env['__OW_' + key.toUpperCase()] = value;
  }
  let result;
  try {
    result = action.main(message.value);
  } catch (error) {
    console.error(error);
    failure(reply, () => `An error has occurred: ${error}`);
    return;
  }
  resolved(result).then(
    (value) => finish(value === undefined ? {} : value, reply),
    (reason) => rejected(reason, reply),
  );
}

function finish(result, reply) {
  if (typeof result !== 'object') {
    console.error(`Result must be of type object but has type "${typeof result}":`, result);
    reply(502, '{"error":"The action did not return a dictionary."}');
    return;
  }
  let text;
  try {
    text = stringify(result);
  } catch {
    reply(500 | STOPPED, INTERNAL);
    return;
  }
  reply(200, typeof text === 'string' ? text : '');
}

// A rejection is the action's own error: a success of the runtime with the reason as plain data.
function rejected(reason, reply) {
  let error;
  try {
    error = reason ? plain(reason) : {};
  } catch (problem) {
    error = problem?.message;
  }
  finish({ error }, reply);
}

function plain(reason) {
  if (typeof reason === 'function') return `[Function: ${reason.name || 'anonymous'}]`;
  return typeof reason === 'object' ? copy(reason, []) : reason;
}

// What knows how to become JSON is asked; of the rest, what an error shows only when it is named is copied, too.
function copy(from, above) {
  if (typeof from.toJSON === 'function') return from.toJSON();
  const to = isArray(from) ? [] : {};
  const route = [...above, from];
  for (const key of keys(from)) {
    if (typeof from[key] !== 'function') to[key] = member(from[key], route);
  }
  for (const key of ['name', 'message', 'stack', 'code', 'cause']) {
    if (from[key] !== undefined && from[key] !== null) to[key] = member(from[key], route);
  }
  return to;
}

function member(value, route) {
  if (!value || typeof value !== 'object') return value;
  if (isBuffer(value)) return '[object Buffer]';
  if (typeof value.pipe === 'function') return '[object Stream]';
  return route.includes(value) ? '[Circular]' : copy(value, route);
}

// One activation of nothing, before there is a user.
function rehearse() {
  action.main = evaluateSource({ main: 'main', code: 'function main(a) { return a; }' });
  run({ value: { a: [1, null] } }, () => {});
  action.main = undefined;
}

module.exports = { initialise, run, rehearse };
