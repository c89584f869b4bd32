'use strict';
// Fetches an address with the program curl. The address is an argument and never seen by a shell.

const { execFile } = require('child_process');

const CONNECT_SECONDS = '3';

function main({ payload }) {
  return new Promise((resolve) => {
    execFile('curl', ['--connect-timeout', CONNECT_SECONDS, '--url', String(payload)], (error, stdout, stderr) => {
      resolve({ msg: error ? stderr || error.message : stdout });
    });
  });
}
