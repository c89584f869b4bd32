'use strict';
// Sends one text message to a WebSocket server: the client's part of RFC 6455 that this takes, and no more.

const { createHash, randomBytes } = require('crypto');
const http = require('http');
const https = require('https');

const CONNECT_MILLISECONDS = 30000;
// How long the server may take to answer a close before the connection is cut.
const CLOSE_MILLISECONDS = 2000;
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 0x1;
const CLOSE = 0x8;
const NORMAL = Buffer.from([0x03, 0xe8]);

async function main({ uri, payload }) {
  if (!uri) throw 'You must specify a uri parameter.';
  if (!payload) throw 'You must specify a payload parameter.';
  const socket = await connect(uri);
  await send(socket, Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)));
  return { payload };
}

function connect(uri) {
  const target = new URL(uri);
  const secure = { 'ws:': false, 'http:': false, 'wss:': true, 'https:': true }[target.protocol];
  if (secure === undefined) throw `The uri must begin with ws:// or wss://, not ${target.protocol}`;
  target.protocol = secure ? 'https:' : 'http:';
  const key = randomBytes(16).toString('base64');
  const accepted = createHash('sha1').update(key + ACCEPT_SUFFIX).digest('base64');
  const headers = {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Version': '13',
  };
  return new Promise((resolve, reject) => {
    const call = (secure ? https : http).request(target, { headers, agent: false });
    const late = setTimeout(() => {
      call.destroy();
      reject(`Did not establish websocket connection to ${uri} in a timely manner.`);
    }, CONNECT_MILLISECONDS);
    call.on('error', (error) => {
      clearTimeout(late);
      reject(error);
    });
    call.on('response', (answer) => {
      clearTimeout(late);
      answer.destroy();
      reject(new Error(`Unexpected server response: ${answer.statusCode}`));
    });
    call.on('upgrade', (answer, socket) => {
      clearTimeout(late);
      if (answer.headers['sec-websocket-accept'] === accepted) return resolve(socket);
      socket.destroy();
      reject(new Error('Invalid Sec-WebSocket-Accept header'));
    });
    call.end();
  });
}

// The server answers our close with its own and ends the connection; what else it may say is not listened to.
function send(socket, message) {
  return new Promise((resolve, reject) => {
    let sent = false;
    const cut = setTimeout(() => socket.destroy(), CLOSE_MILLISECONDS);
    socket.on('error', (error) => {
      if (!sent) reject(error);
    });
    socket.on('close', () => {
      clearTimeout(cut);
      if (sent) resolve();
      else reject(new Error('The server closed the connection before the message was sent'));
    });
    socket.on('end', () => socket.end());
    socket.resume();
    socket.write(frame(TEXT, message));
    socket.write(frame(CLOSE, NORMAL), () => {
      sent = true;
    });
  });
}

// One final frame, masked as a client's must be.
function frame(opcode, content) {
  const head = [0x80 | opcode];
  if (content.length < 126) {
    head.push(0x80 | content.length);
  } else if (content.length < 65536) {
    head.push(0x80 | 126, content.length >> 8, content.length & 0xff);
  } else {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(content.length));
    head.push(0x80 | 127, ...length);
  }
  const mask = randomBytes(4);
  const masked = content.map((byte, at) => byte ^ mask[at & 3]);
  return Buffer.concat([Buffer.from(head), mask, masked]);
}
