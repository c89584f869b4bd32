'use strict';
// Has another action greet, and splits the greeting.

const http = require('http');
const https = require('https');

async function main({ name, place, ignore_certs: ignoreCerts }) {
  const { response } = await invoke('/whisk.system/samples/greeting', { name, place }, { blocking: true, ignoreCerts });
  return { lines: response.result.payload.split(' ') };
}

// Invokes an action with the key this one was given; resolves to the platform's answer.
function invoke(name, parameters, { blocking, ignoreCerts }) {
  const [, namespace, ...path] = name.split('/');
  const host = process.env.__OW_API_HOST;
  const api = host.includes('://') ? host : `https://${host}`;
  const url = new URL(`${api}/api/v1/namespaces/${namespace}/actions/${path.join('/')}?blocking=${blocking}`);
  const body = JSON.stringify(parameters);
  const options = {
    method: 'POST',
    auth: process.env.__OW_API_KEY,
    headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
    rejectUnauthorized: !ignoreCerts,
    agent: false,
  };
  return new Promise((resolve, reject) => {
    const { request } = url.protocol === 'https:' ? https : http;
    const call = request(url, options, (answer) => {
      const chunks = [];
      answer.on('error', reject);
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (answer.statusCode < 300) resolve(JSON.parse(text));
        else reject(new Error(`${name} was answered with status ${answer.statusCode}: ${text}`));
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}
