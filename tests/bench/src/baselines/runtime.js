// runtime: a Node server shaped like the reference nodejs runtime: JSON bodies of up to 48 MB, /init once, /run.
// It uses express when its folder of modules is named on the command line, as the reference does, and Node's own server
// otherwise.
'use strict';

let main;

function init(body) {
  if (main) return [403, { error: 'Cannot initialize the action more than once.' }];
  const { code = '', main: entry = 'main' } = body.value || {};
  main = new Function(`${code}\nreturn ${entry};`)();
  return [200, { OK: true }];
}

async function run(body) {
  for (const [key, value] of Object.entries(body)) {
    if (key !== 'value' && typeof value === 'string') process.env[`__OW_${key.toUpperCase()}`] = value;
  }
  const result = await main(body.value || {});
  if (process.env.WSK_BENCH_SENTINEL) {
    process.stdout.write('XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n');
    process.stderr.write('XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n');
  }
  return [200, result === undefined ? {} : result];
}

async function answer(path, body) {
  try {
    return path === '/init' ? init(body) : await run(body);
  } catch (error) {
    return [502, { error: `An error has occurred: ${error}` }];
  }
}

function listener() {
  let express;
  try { express = require(require('path').join(process.argv[2] || '', 'express')); } catch { return plain(); }
  const app = express();
  app.use(express.json({ limit: '48mb' }));
  for (const path of ['/init', '/run']) {
    app.post(path, async (request, response) => {
      const [status, result] = await answer(path, request.body);
      response.status(status).json(result);
    });
  }
  return app;
}

function plain() {
  return (request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', async () => {
      const [status, result] = await answer(request.url, JSON.parse(Buffer.concat(parts).toString() || '{}'));
      const text = JSON.stringify(result);
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
      response.end(text);
    });
  };
}

const server = require('http').createServer(listener());
server.timeout = 0;
server.keepAliveTimeout = 0;
const { WSK_PROXY_FD: fd, PORT: port = '8080' } = process.env;
if (fd) {
  server.listen({ fd: Number(fd) });
} else {
  server.listen(Number(port), '127.0.0.1', () => console.log(`127.0.0.1:${server.address().port}`));
}
