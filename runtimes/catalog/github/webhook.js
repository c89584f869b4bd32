'use strict';
// A feed: has GitHub call the address of a trigger when something happens in a repository.

const http = require('http');
const https = require('https');

const GITHUB = 'https://api.github.com';

const REQUIRED = ['username', 'repository', 'accessToken', 'triggerName'];

function main(params) {
  const needed = params.lifecycleEvent === 'CREATE' ? [...REQUIRED, 'events'] : REQUIRED;
  const missing = needed.find((name) => !params[name]);
  if (missing) return { error: `You must specify a ${missing} parameter.` };
  switch (params.lifecycleEvent) {
    case 'CREATE':
      return create(params);
    case 'DELETE':
      return remove(params);
    default:
      return { error: `The feed does not support the lifecycleEvent ${params.lifecycleEvent}.` };
  }
}

async function create(params) {
  const hook = {
    name: 'web',
    active: true,
    events: params.events.split(','),
    config: { url: callback(params), content_type: 'json' },
  };
  const { status, body } = await call('POST', hooks(params), params, hook);
  console.log(`Status code: ${status}`);
  if (status >= 400) throw { statusCode: status, response: body };
  return { response: body };
}

async function remove(params) {
  const url = callback(params);
  const { status, body } = await call('GET', hooks(params), params);
  if (status >= 400) throw { statusCode: status, response: body };
  const ours = body.filter((hook) => hook.config && decoded(hook.config.url) === decoded(url));
  if (ours.length === 0) throw `Found no existing webhooks for trigger URL ${url}`;
  for (const hook of ours) {
    const answer = await call('DELETE', hook.url, params);
    console.log(`Status code: ${answer.status}`);
    if (answer.status === 404) console.log('Please ensure your accessToken is authorized to delete webhooks.');
    if (answer.status >= 400) throw { statusCode: answer.status, response: answer.body };
  }
  return {};
}

function hooks({ baseUrl = GITHUB, username, repository }) {
  const path = repository.includes('/') ? repository : `${username}/${repository}`;
  return `${baseUrl}/repos/${path}/hooks`;
}

// Where GitHub is to call. It knows no other way to identify itself than the key of the trigger's owner in the address.
function callback({ triggerName, authKey = process.env.__OW_API_KEY }) {
  const [, first, name] = triggerName.split('/');
  const namespace = first === '_' ? process.env.__OW_NAMESPACE : first;
  const host = process.env.__OW_API_HOST;
  const api = new URL(host.includes('://') ? host : `https://${host}`);
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/triggers/${encodeURIComponent(name)}`;
  return `${api.protocol}//${authKey}@${api.host}${path}`;
}

function call(method, url, { username, accessToken }, content) {
  const text = content === undefined ? '' : JSON.stringify(content);
  const options = {
    method,
    auth: `${username}:${accessToken}`,
    headers: { 'User-Agent': 'whisk', Accept: 'application/json' },
    agent: false,
  };
  if (text) {
    options.headers['Content-Type'] = 'application/json';
    options.headers['Content-Length'] = Buffer.byteLength(text);
  }
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const { request } = target.protocol === 'https:' ? https : http;
    const started = request(target, options, (answer) => {
      const chunks = [];
      answer.on('error', reject);
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, body: parsed(Buffer.concat(chunks).toString()) }));
    });
    started.on('error', reject);
    started.end(text);
  });
}

// What others registered need not be well formed.
function decoded(url) {
  try {
    return decodeURI(url);
  } catch {
    return url;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
