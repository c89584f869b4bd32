'use strict';
// Tells the time.

function main() {
  const now = new Date();
  console.log(`It is now ${now.toString()}`);
  return { date: now.toISOString() };
}
