'use strict';
// Posts a message to Slack, through an incoming webhook or, with a token, through a method of its web API.

const http = require('http');
const https = require('https');

const DEFAULT_NAME = 'Simple Message Bot';

function main(params) {
  const { text, attachments, url } = params;
  if (text === undefined && attachments === undefined) return { error: 'No text provided' };
  if (!url) return { error: 'No Webhook URL provided' };
  return post(url, form(params)).then(
    (status) => {
      console.log('success: ', text, 'successfully sent');
      // Slack's verdict does not decide about the activation, but whoever looks for a lost message should find it here.
      if (status < 200 || status > 299) console.warn(`warning: the message was answered with status ${status}`);
      return {};
    },
    (error) => {
      console.log('error: ', error);
      throw error;
    },
  );
}

// A webhook takes one field that holds the message as JSON; the web API takes the parts of the message as fields.
function form(params) {
  const message = {};
  if (given(params.channel)) message.channel = params.channel;
  message.username = params.username || DEFAULT_NAME;
  if (given(params.icon_emoji)) message.icon_emoji = params.icon_emoji;
  if (params.as_user === true) message.as_user = true;
  if (given(params.text)) message.text = params.text;
  if (given(params.attachments)) message.attachments = JSON.stringify(params.attachments);
  const fields = params.token ? { ...message, token: params.token } : { payload: JSON.stringify(message) };
  return new URLSearchParams(Object.entries(fields).map(([name, value]) => [name, asText(value)])).toString();
}

function given(value) {
  return value !== undefined && value !== null;
}

function asText(value) {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

// Every message on a connection of its own: one that was left open may be dead after the container slept.
function post(url, body) {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const headers = {
      'Content-Type': 'application/x-www-form-urlencoded',
      'Content-Length': Buffer.byteLength(body),
    };
    const { request } = target.protocol === 'https:' ? https : http;
    const call = request(target, { method: 'POST', headers, agent: false }, (answer) => {
      answer.on('error', reject);
      answer.on('end', () => resolve(answer.statusCode));
      answer.resume();
    });
    call.on('error', reject);
    call.end(body);
  });
}
