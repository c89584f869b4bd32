'use strict';
// The Node.js side of the action proxy: loads the user's code once and calls it once per request.
//
// Requests and answers are frames on a socket the proxy left on descriptor 10, so that neither text on stdout nor a
// write to descriptor 3 can be taken for an answer. A frame is three little-endian 32-bit numbers (length of the body,
// id of the request, code) and the body. The code of a request is INIT or RUN; that of an answer is an HTTP status, with
// STOPPED added when this process must not be used again (src/service.js decides).
//
// Answers are written after everything the action printed: stdout and stderr are pipes that are made to block, so the
// proxy only has to read what they hold when the answer arrives.

const Module = require('module');
const { Socket } = require('net');
const path = require('path');
const util = require('util');
const service = require('./src/service');

// User code finds the modules that are installed for everybody (`npm install --global`), as upstream's image brings some.
// They are beside node, or, with Debian's npm, always below /usr/local.
const shared = [path.join(path.dirname(process.execPath), '..', 'lib', 'node_modules'), '/usr/local/lib/node_modules'];
process.env.NODE_PATH = shared.join(path.delimiter);
Module._initPaths();
delete process.env.NODE_PATH;

const CHANNEL = 10;
const HEADER = 12;
const INIT = 1;

// User code may replace what it finds on the globals; the protocol must go on working.
const { allocUnsafe, byteLength, concat } = Buffer;
const { parse } = JSON;

const streams = [process.stdout, process.stderr];
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
  const reply = (status, text) => answer(id, status, text);
  let message;
  try {
    message = parse(body);
  } catch {
    reply(500, '{"error":"Bad request."}');
    return;
  }
  if (code === INIT) service.initialise(message, reply);
  else service.run(message, reply);
}

// Only where the streams could not be made to block may text still be waiting in this process.
function answer(id, code, text) {
  const behind = streams.find((stream) => stream.writableLength > 0 && !stream.destroyed);
  if (behind) behind.write('', () => answer(id, code, text));
  else send(id, code, text);
}

function send(id, code, text) {
  const size = byteLength(text);
  const frame = allocUnsafe(HEADER + size);
  frame.writeUInt32LE(size, 0);
  frame.writeUInt32LE(id, 4);
  frame.writeUInt32LE(code, 8);
  frame.write(text, HEADER);
  channel.write(frame);
}

// This process is started ahead of the code it will run: what the first activation needs is touched now, so that it finds
// it compiled and opened.
for (const stream of streams) stream._handle?.setBlocking?.(true);
util.inspect({ a: [1, 'x'] });
service.rehearse();
