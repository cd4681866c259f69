"""`python -m benchmarks SUITE`: how fast, against the alternatives and the floors."""

from __future__ import annotations

import sys
from importlib import import_module

SUITES = {
    "broker": "benchmarks.broker.suite",
    "stores": "benchmarks.stores.suite",
    "web": "benchmarks.web.suite",
    "sync": "benchmarks.sync.suite",
}


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] not in SUITES:
        print(f"usage: python -m benchmarks {{{','.join(SUITES)}}} [--help]")
        return 2
    try:
        suite = import_module(SUITES[arguments[0]])
    except ModuleNotFoundError as missing:
        print(
            f"benchmarks {arguments[0]}: the package {missing.name} is missing; "
            "./test sets up an environment with all that is measured with",
            file=sys.stderr,
        )
        return 1
    return int(suite.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main())
