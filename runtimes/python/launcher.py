"""The Python side of the action proxy: loads the user's module once and calls it once per request.

Requests and answers are frames on a socket the proxy left on descriptor 10, so that neither text on stdout nor a write
to descriptor 3 (the answers of the ActionLoop protocol) can be taken for an answer. A frame is three little-endian 32-bit
numbers (length of the body, id of the request, code) and the body. The code of a request is INIT or RUN, that of an
answer an HTTP status. Everything printed is flushed before the answer is sent. An exception that leaves this file ends
the process, and the proxy reports it: texts and traces are those of OpenWhisk's Python runtime.
"""
import ast
import fcntl
import json
import os
import struct
import sys
import traceback
from sys import stderr, stdout

CHANNEL = 10
INIT = 1
HERE = os.path.dirname(os.path.abspath(__file__))
PROCESS = os.getpid()


def take_channel():
    """Moves the channel out of reach of the user's code and its children, and gives descriptor 3 nothing to say."""
    try:
        hidden = fcntl.fcntl(CHANNEL, fcntl.F_DUPFD_CLOEXEC, 200)
        os.close(CHANNEL)
    except OSError:
        hidden = CHANNEL
        os.set_inheritable(hidden, False)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != 3:
        os.dup2(nowhere, 3, inheritable=False)
        os.close(nowhere)
    return open(hidden, 'rb', closefd=True), hidden


def receive(requests):
    header = requests.read(12)
    if len(header) < 12:
        os._exit(0)
    size, number, code = struct.unpack('<III', header)
    return number, code, requests.read(size)


def send(descriptor, number, code, body):
    frame = memoryview(struct.pack('<III', len(body), number, code) + body)
    while frame:
        frame = frame[os.write(descriptor, frame):]


def builds():
    """The checks of the build step: what is wrong goes to stderr, with a line end of the proxy's behind it."""
    try:
        problems = '' if activate_virtualenv() else "Invalid virtualenv. Zip file does not include 'activate_this.py'.\n"
    except Exception:
        stderr.write(traceback.format_exc() + '\n')
        return False
    try:
        with open('main__.py', 'rb') as source:
            ast.parse(source.read().decode('utf-8'))
    except SyntaxError as problem:
        problems += problem.msg
    except Exception as problem:
        try:
            stderr.write(problem)
        except TypeError:
            problems += traceback.format_exc()
    if problems:
        stderr.write(problems + '\n')
    return not problems


def activate_virtualenv():
    """False where the environment that the archive brought cannot be activated."""
    root = os.path.abspath('./virtualenv')
    if not os.path.isdir(root):
        return True
    for script in (root + '/bin/activate_this.py', root + '/Scripts/activate_this.py'):
        if os.path.exists(script):
            with open(script) as source:
                exec(compile(source.read(), script, 'exec'), {'__file__': script})
            return True
    return False


def find_main(name):
    """The entry point, as `name` reads in an import statement: nonsense in it is a syntax error of that statement."""
    found = {}
    try:
        statement = compile('from main__ import %s as main' % name, os.path.join(HERE, 'exec__.py'), 'exec')
    except SyntaxError as problem:
        traceback.print_exception(type(problem), problem, None)
        sys.exit(1)
    exec(statement, found)
    return found['main']


def call(main, request):
    """One activation, up to the text of its answer."""
    payload = {}
    for key, value in json.loads(request).items():
        if key == 'value':
            payload = value
        elif isinstance(value, str):
            os.environ['__OW_' + key.upper()] = value
    try:
        result = main(payload)
    except Exception as problem:
        print(traceback.format_exc(), file=stderr)
        result = {'error': str(problem)}
    return json.dumps(result, ensure_ascii=False).encode('utf-8') + b'\n'


def serve():
    requests, answers = take_channel()
    main = None
    try:
        while True:
            number, code, body = receive(requests)
            if code == INIT:
                message = json.loads(body)
                os.environ.update(message['env'])
                answer = b''
                status = 200 if builds() else 502
                if status == 200:
                    main = find_main(message['main'])
            else:
                status, answer = 200, call(main, body)
            stdout.flush()
            stderr.flush()
            if os.getpid() != PROCESS:
                os._exit(0)  # a fork that came back from the user's function must not answer a second time
            send(answers, number, status, answer)
    finally:
        if os.getpid() == PROCESS:
            requests.close()  # the proxy need not wait for threads that keep a dying interpreter alive


stdout.reconfigure(line_buffering=True)
serve()
