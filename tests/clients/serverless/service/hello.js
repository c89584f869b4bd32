'use strict'

exports.main = ({ name = 'stranger', salutation }) => {
  console.log('greeting', name)
  return { greeting: `${salutation}, ${name}` }
}

exports.shout = ({ greeting, mark }) => ({ greeting: greeting.toUpperCase() + mark })

exports.web = ({ name = 'nobody' }) => ({ body: `called by ${name}` })

exports.page = ({ __ow_method: method, __ow_path: path, q }) => ({ body: { method, path, q } })
