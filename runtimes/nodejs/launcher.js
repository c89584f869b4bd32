'use strict';
// The Node.js side of the action proxy: loads the user's code once and calls it once per request.
//
// Requests and answers are frames on a socket the proxy left on descriptor 10, so that neither text on stdout nor a
// write to descriptor 3 can be taken for an answer. A frame is three little-endian 32-bit numbers (length of the body,
// id of the request, code) and the body. The code of a request is INIT or RUN; that of an answer is an HTTP status, with
// STOPPED added when this process must not be used again. Texts and log lines are those of OpenWhisk's Node.js runtime.
//
// Answers are written after everything the action printed, because stdout and stderr are pipes and writing to a pipe is
// synchronous here; the proxy only has to read what the pipes hold when the answer arrives.

const { Socket } = require('net');
const { existsSync, readFileSync } = require('fs');
const { execFile } = require('child_process');
const { createRequire, Module } = require('module');
const { pathToFileURL } = require('url');
const path = require('path');
const util = require('util');
const vm = require('vm');

const CHANNEL = 10;
const HEADER = 12;
const INIT = 1;
const STOPPED = 0x10000;
const INTERNAL = '{"error":"Internal error."}';

// User code may replace what it finds on the globals; the protocol must go on working.
const { parse, stringify } = JSON;
const { keys } = Object;
const isArray = Array.isArray;
const resolved = Promise.resolve.bind(Promise);
const { allocUnsafe, byteLength, concat } = Buffer;

// `this` of the user's function is this object, as it is an object of the runtime in OpenWhisk.
const action = { main: undefined };

// ---- the channel

const channel = new Socket({ fd: CHANNEL, readable: true, writable: true });
let pieces = [];
let received = 0;
let wanted = HEADER;

channel.on('data', (chunk) => {
  pieces.push(chunk);
  received += chunk.length;
  while (received >= wanted) {
    const data = pieces.length === 1 ? pieces[0] : concat(pieces, received);
    pieces = [data];
    const size = HEADER + data.readUInt32LE(0);
    if (received < size) {
      wanted = size;
      return;
    }
    received -= size;
    wanted = HEADER;
    pieces = received > 0 ? [data.subarray(size)] : [];
    request(data.readUInt32LE(4), data.readUInt32LE(8), data.toString('utf8', HEADER, size));
  }
});
channel.on('error', () => process.exit(1));
channel.on('end', () => process.exit(0));

function request(id, code, body) {
  if (code === INIT) initialise(id, parse(body));
  else run(id, parse(body));
}

function answer(id, code, text) {
  const size = byteLength(text);
  const frame = allocUnsafe(HEADER + size);
  frame.writeUInt32LE(size, 0);
  frame.writeUInt32LE(id, 4);
  frame.writeUInt32LE(code, 8);
  frame.write(text, HEADER);
  channel.write(frame);
}

// An answer whose error text is computed from a value of the user's, which may refuse to become a text.
function failure(id, describe) {
  let text;
  try {
    text = stringify({ error: describe() });
  } catch {
    return answer(id, 500 | STOPPED, INTERNAL);
  }
  answer(id, 502 | STOPPED, text);
}

// ---- loading

async function initialise(id, message) {
  try {
    for (const name of keys(message.env || {})) process.env[name] = message.env[name];
    const handler = message.dir === undefined ? evaluate(message) : await load(message);
    if (typeof handler !== 'function') throw `Action entrypoint '${message.main}' is not a function.`;
    action.main = handler;
  } catch (error) {
    console.error('Error during initialization:', error);
    failure(id, () => `Initialization has failed due to: ${error.stack ? String(error.stack) : error}`);
    return;
  }
  answer(id, 200, '{"OK":true}');
}

// A function in which the user's text is evaluated. It sees what a module sees and nothing of this file.
function compileEvaluator(file) {
  const names = ['exports', 'require', 'module', '__filename', '__dirname'];
  const constants = vm.constants || {};
  const importer = constants.USE_MAIN_CONTEXT_DEFAULT_LOADER || ((specifier) => import(specifier));
  return vm.compileFunction('return eval(arguments[5]);', names, { filename: file, importModuleDynamically: importer });
}

// The entry point is an expression in the scope of the code, else a property of what the code exports. The layout decides
// which line and column a trace shows.
function evaluate({ main, code }) {
  const file = path.join(process.cwd(), 'runner.js');
  const module = new Module(file, require.main);
  module.filename = file;
  module.paths = Module._nodeModulePaths(path.dirname(file));
  const text = `(function(){
               ${code}
  try { return ${main}; } catch (e) {
    if (e.name === 'ReferenceError') return module.exports.${main} || exports.${main};
    throw e;
  }
})()`;
  const evaluator = compileEvaluator(file);
  return evaluator.call(module.exports, module.exports, createRequire(file), module, file, path.dirname(file), text);
}

// An unpacked archive: `main` is a function of the package, or `file.function`.
async function load({ main, dir }) {
  const parts = /^([^.]+)$|^([^.]+)\.(.+)$/.exec(main);
  if (!parts) throw 'Name of main function is not valid.';
  process.chdir(dir);
  if (parts[2] === undefined && !existsSync('package.json') && !existsSync('index.js')) {
    throw 'Zipped actions must contain either package.json or index.js at the root.';
  }
  await installDependencies();
  const target = parts[2] === undefined ? dir : path.join(dir, parts[2]);
  const loaded = await loadModule(target);
  return vm.compileFunction('return eval("m." + arguments[1]);', ['m'])(loaded, parts[3] || parts[1]);
}

async function loadModule(target) {
  const requireFrom = createRequire(path.join(path.dirname(target), 'runner.js'));
  try {
    return requireFrom(target);
  } catch (error) {
    if (!error || (error.code !== 'ERR_REQUIRE_ESM' && error.code !== 'ERR_REQUIRE_ASYNC_MODULE')) throw error;
    return import(pathToFileURL(requireFrom.resolve(target)));
  }
}

async function installDependencies() {
  if (!existsSync('package.json') || existsSync('node_modules')) return;
  const { dependencies } = parse(readFileSync('package.json', 'utf8')) || {};
  if (process.env.OW_ENABLE_INIT_INSTALL === 'false' || !dependencies || keys(dependencies).length === 0) return;
  const env = { ...process.env, npm_config_cache: process.env.npm_config_cache || '/tmp/.npm' };
  const options = ['install', '--no-audit', '--no-fund', '--omit=dev'];
  await new Promise((resolve, reject) => {
    execFile('npm', options, { env }, (error, out, err) => {
      if (!error) return resolve();
      const reason = (err || out || error.message).trim().split('\n').slice(-5).join('\n');
      reject(`The dependencies in package.json could not be installed. Put node_modules into the archive.\n${reason}`);
    });
  });
}

// ---- running

function run(id, message) {
  for (const key of keys(message)) {
    const value = message[key];
    if (key !== 'value' && typeof value === 'string') process.env['__OW_' + key.toUpperCase()] = value;
  }
  let result;
  try {
    result = action.main(message.value);
  } catch (error) {
    console.error(error);
    failure(id, () => `An error has occurred: ${error}`);
    return;
  }
  resolved(result).then(
    (value) => finish(id, value === undefined ? {} : value),
    (reason) => reject(id, reason),
  );
}

function finish(id, result) {
  if (typeof result !== 'object') {
    console.error(`Result must be of type object but has type "${typeof result}":`, result);
    answer(id, 502, '{"error":"The action did not return a dictionary."}');
    return;
  }
  let text;
  try {
    text = stringify(result);
  } catch {
    answer(id, 500 | STOPPED, INTERNAL);
    return;
  }
  answer(id, 200, typeof text === 'string' ? text : '');
}

// A rejection is the action's own error: a success of the runtime with the reason as plain data.
function reject(id, reason) {
  let error;
  try {
    error = reason ? plain(reason) : {};
  } catch {
    answer(id, 500 | STOPPED, INTERNAL);
    return;
  }
  finish(id, { error });
}

function plain(reason) {
  if (typeof reason === 'function') return `[Function: ${reason.name || 'anonymous'}]`;
  return typeof reason === 'object' ? copy(reason, []) : reason;
}

function copy(from, above) {
  const to = isArray(from) ? [] : {};
  const path = [...above, from];
  for (const key of keys(from)) {
    const value = from[key];
    if (typeof value === 'function') continue;
    if (!value || typeof value !== 'object') to[key] = value;
    else to[key] = path.includes(value) ? '[Circular]' : copy(value, path);
  }
  for (const key of ['name', 'message', 'stack', 'code']) {
    if (typeof from[key] === 'string') to[key] = from[key];
  }
  return to;
}

// ---- while nobody waits

// Started ahead of the code it will run: touch what the first activation needs, so that it finds it compiled and opened.
function warmUp() {
  process.stdout;
  process.stderr;
  util.inspect({ a: [1, 'x'] });
  const handler = evaluate({ main: 'main', code: 'function main(a) { return a; }' });
  stringify(handler(parse('{"value":{"a":[1,null]}}')));
}

warmUp();
