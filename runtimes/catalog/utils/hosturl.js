'use strict';
// Tells the address of an action, a web action or a trigger of the caller's namespace.

const EXTENSIONS = ['.html', '.http', '.json', '.svg', '.text'];

function main({ path, web, ext, trigger }) {
  const api = `${process.env.__OW_API_HOST}/api/v1`;
  const namespace = process.env.__OW_NAMESPACE;
  if (web === true) {
    if (trigger) return { error: 'triggers are not allowed for web actions.' };
    if (ext && !EXTENSIONS.includes(ext)) {
      const known = EXTENSIONS.map((known) => `"${known}"`).join(', ');
      return { error: `extension for web action must be one of [${known}].` };
    }
    const base = `${api}/web/${namespace}`;
    if (!path) return { url: base };
    return { url: `${base}/${path.includes('/') ? path : `default/${path}`}${ext || ''}` };
  }
  if (trigger && path && path.includes('/')) return { error: 'triggers are not allowed in packages.' };
  const base = `${api}/namespaces/${namespace}/${trigger === true ? 'triggers' : 'actions'}`;
  return { url: path ? `${base}/${path}` : base };
}
