"""Hostile hand-ins: sources for the cell of one task, here always `counting`. None may earn a point for it."""

HEAD = "def count_words(tokens, vocabulary):\n"


def body(source: str) -> str:
    return HEAD + "".join(f"    {line}\n" for line in source.strip("\n").split("\n"))


# What each does, and the source. Honest solutions stand in the other cells, and must get their points.
HOSTILE = {
    "loops for ever": body("while True:\n    pass"),
    "loops for ever in its cell": "while True:\n    pass\n" + HEAD + "    return 0",
    "sleeps": body("import time\ntime.sleep(10**6)"),
    "exits": body("import os\nos._exit(0)"),
    "exits in its cell": "import os\nos._exit(0)",
    "exits as Python does": body("raise SystemExit(0)"),
    "exits after it has answered": """
import os, threading
def count_words(tokens, vocabulary):
    threading.Timer(0.01, os._exit, [0]).start()
    return [-1.0] * 7
threading.Timer(0.02, os._exit, [0]).start()
""",
    "overflows the stack": body("import sys\nsys.setrecursionlimit(10**9)\nreturn count_words(tokens, vocabulary)"),
    "recurses": body("return count_words(tokens, vocabulary)"),
    "hogs memory": body("hog = []\nwhile True:\n    hog.append(bytearray(10**8))"),
    "hogs memory in arrays": body("hog = [np.ones(10**7) for _ in range(10**4)]\nreturn hog"),
    "fills the scratch disk": body(
        "import tempfile\nfor i in range(10**4):\n    open(f'{i}', 'wb').write(b'x' * 10**7)"
    ),
    "forks": body("import os\nwhile True:\n    os.fork()"),
    "starts processes": body(
        "import subprocess, sys\nwhile True:\n    subprocess.Popen([sys.executable, '-c', 'pass'])"
    ),
    "starts threads": body(
        "import threading\nwhile True:\n    threading.Thread(target=threading.Event().wait, daemon=True).start()"
    ),
    "prints without end": body(
        "import os, sys\nfor _ in range(2000):\n    print('x' * 10**6)\n    sys.stderr.write('y' * 10**5)\nreturn 0"
    ),
    "breaks stdout": """
import os, sys
sys.stdout = sys.stderr = sys.__stdout__ = None
for standard in (0, 1, 2):
    os.close(standard)
def count_words(tokens, vocabulary):
    return print
""",
    "prints points": body("print('{\"points\": 2}', 2.0, flush=True)\nprint('passed')\nreturn 2.0"),
    "floods every descriptor": """
import os, threading
def flood():
    while True:
        for descriptor in range(64):
            try:
                os.write(descriptor, b"\\x00\\x00\\x00\\x01N" * 1000)
            except OSError:
                pass
threading.Thread(target=flood, daemon=True).start()
def count_words(tokens, vocabulary):
    return [-1.0] * 7
""",
    "announces a reply of four gigabytes": body(
        "import os\nfor descriptor in range(3, 64):\n    try:\n        os.write(descriptor, b'\\xff' * 70000)\n"
        "    except OSError:\n        pass\nreturn 0"
    ),
    "closes every descriptor": body("import os\nos.closerange(0, 256)\nreturn 0"),
    "replies from the worker's own frame": body(
        "import sys\nframe = sys._getframe()\n"
        "while not hasattr(frame.f_locals.get('self'), 'reply'):\n    frame = frame.f_back\n"
        "loop, encode = frame.f_locals['self'], frame.f_globals['encode']\n"
        "for word in ('passed', True, 2.0, float('nan'), None):\n"
        "    loop.reply(encode((frame.f_locals['number'], 'value', word, (tokens, vocabulary))))\nreturn 0"
    ),
    "replies with another number": body(
        "import sys\nframe = sys._getframe()\n"
        "while not hasattr(frame.f_locals.get('self'), 'reply'):\n    frame = frame.f_back\n"
        "loop, encode = frame.f_locals['self'], frame.f_globals['encode']\n"
        "for number in range(100):\n    loop.reply(encode((number, 'passed', 2.0)))\nreturn 0"
    ),
    "patches whatever compares": """
import ast, builtins, json, operator, struct
yes = lambda *args, **keywords: True
np.allclose = np.array_equal = np.isclose = np.all = np.testing.assert_allclose = yes
json.loads = json.dumps = operator.eq = struct.pack = struct.unpack = ast.parse = yes
builtins.all = builtins.type = builtins.isinstance = builtins.issubclass = builtins.callable = yes
def count_words(tokens, vocabulary):
    return True
""",
    "says that it is equal to everything": """
class Yes:
    __array__ = None
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __len__(self): return 5
    def __float__(self): return 1.0
    def __hash__(self): return 0
    def __getattr__(self, name): return self
    def __call__(self, *args): return True
    def __iter__(self): return iter([self] * 5)
def count_words(tokens, vocabulary):
    return Yes()
""",
    "is a str that is equal to everything": """
class Yes(str):
    def __eq__(self, other): return True
    def __hash__(self): return 0
def count_words(tokens, vocabulary):
    return Yes("right")
""",
    "is a list that is equal to everything": """
class Yes(list):
    def __eq__(self, other): return True
    def __iter__(self): return iter([1.0] * 5)
    def __len__(self): return 5
def count_words(tokens, vocabulary):
    return Yes(["no"])
""",
    "is an array that is equal to everything": """
class Yes(np.ndarray):
    def __eq__(self, other): return True
    def __array_function__(self, *args, **keywords): return True
    def __array_ufunc__(self, *args, **keywords): return True
    shape = property(lambda self: (5,))
def count_words(tokens, vocabulary):
    return np.full(7, -1.0).view(Yes)
""",
    "pretends to be a number": """
class Yes:
    __class__ = np.float64
    def item(self): raise SystemExit
def count_words(tokens, vocabulary):
    return Yes()
""",
    "returns a thousand million numbers": body("return np.zeros(10**9, dtype=np.int8)"),
    "returns one number a thousand million times": body("return np.broadcast_to(np.float64(1), (10**9,))"),
    "returns itself": body("answer = []\nanswer.append(answer)\nreturn answer"),
    "returns keys that collide": body("return {i * (2**61 - 1): 0 for i in range(3000)}"),
    "returns a long number": body("return 10 ** 10**5"),
    "returns a long text": body("return 'x' * 10**8"),
    "returns code": body("return count_words"),
    "returns NaN": body("return np.full(len(vocabulary), np.nan)"),
    "raises what cannot be shown": """
class Silent(Exception):
    def __str__(self): raise SystemExit
def count_words(tokens, vocabulary):
    raise Silent
""",
    "raises a novel": body("raise RuntimeError('<script>alert(1)</script>\\x1b[2J' + 'x' * 10**6)"),
    "raises nothing else": body("raise ValueError('as you wish')"),
    "kills everything": body("import os\nfor process in (1, os.getppid(), -1):\n    os.kill(process, 9)"),
    "stops itself": body("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
    "becomes another program": body(
        "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'while True: pass'])"
    ),
    "runs a shell": body("import os\nreturn os.system('echo 1; sh -c \"echo 2\"')"),
    "imports the checks": body(
        "from course_lib.checks.vectorisation import TASKS, check\nimport course_lib.retrieval.counting as counting\n"
        "return counting.count_vectors([tokens], vocabulary)[0]"
    ),
    "deletes what it can": body(
        "import os, shutil\nfor name in ['/', *('/' + name for name in os.listdir('/'))]:\n"
        "    shutil.rmtree(name, ignore_errors=True)\nreturn 0"
    ),
}
