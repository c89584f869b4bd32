#!/usr/bin/env python3
"""Dumps a database of CouchDB to standard output, a document with its attachments per line, or restores one from standard input.

usage: couchdb-backup.py dump URL_OF_THE_DATABASE > FILE
       couchdb-backup.py restore URL_OF_THE_DATABASE < FILE      into an empty or new database; revisions are kept

The database may be in use while it is dumped. Needs nothing but Python.
"""
import base64
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

# Documents asked for, or written, at a time.
PAGE = 100


def ask(url, path, method="GET", body=None, statuses=(200, 201)):
    parts = urllib.parse.urlsplit(url.rstrip("/") + path)
    bare = parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1]).geturl()
    request = urllib.request.Request(bare, None if body is None else json.dumps(body).encode(), method=method)
    request.add_header("accept", "application/json")
    request.add_header("content-type", "application/json")
    if parts.username:
        credentials = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code in statuses:
            return None
        sys.exit(f"couchdb-backup: {method} {parts.path} was answered with {error.code}: {error.read().decode()[:200]}")
    except urllib.error.URLError as error:
        sys.exit(f"couchdb-backup: {parts.hostname} cannot be reached: {error.reason}")


def dump(url):
    count, start = 0, None
    while True:
        query = {"include_docs": "true", "limit": PAGE + 1}
        if start is not None:
            query["startkey"] = json.dumps(start)
        rows = ask(url, "/_all_docs?" + urllib.parse.urlencode(query))["rows"]
        for row in rows[:PAGE]:
            document = row["doc"]
            if document.get("_attachments"):
                # With what is attached, as text in base64.
                document = ask(url, f"/{urllib.parse.quote(row['id'], safe='')}?attachments=true")
            print(json.dumps(document))
            count += 1
        if len(rows) <= PAGE:
            break
        start = rows[PAGE]["id"]
    print(f"couchdb-backup: {count} documents", file=sys.stderr)


def restore(url):
    ask(url, "", "PUT", statuses=(201, 202, 412))
    count = 0
    for documents in pages(sys.stdin):
        # The revisions of the dump are kept: activations under way name them.
        answers = ask(url, "/_bulk_docs", "POST", {"docs": documents, "new_edits": False})
        refused = [answer for answer in answers if "error" in answer]
        if refused:
            sys.exit(f"couchdb-backup: not restored: {refused[:3]}")
        count += len(documents)
    print(f"couchdb-backup: {count} documents", file=sys.stderr)


def pages(lines):
    page = []
    for line in lines:
        page.append(json.loads(line))
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


match sys.argv[1:]:
    case ["dump", url]:
        dump(url)
    case ["restore", url]:
        restore(url)
    case _:
        sys.exit(__doc__)
