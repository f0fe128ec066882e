"""The vendors' own clients against `consentd sandbox`: every check is one thing that a real integration does."""

import sys
import traceback

import with_brevo
import with_mailjet
from bench import Receiver, Sandbox


def main(binary):
    passed = failed = 0
    with Sandbox(binary) as sandbox, Receiver() as receiver:
        for module in (with_brevo, with_mailjet):
            world = module.World(sandbox, receiver)
            for check in module.CHECKS:
                name = f"{module.NAME}: {check.__name__.replace('_', ' ')}"
                try:
                    # Each check begins with unused limits.
                    world.control.call("advance", {"seconds": 5})
                    check(world)
                except Exception:
                    failed += 1
                    print(f"FAILED {name}")
                    traceback.print_exc()
                else:
                    passed += 1
                    print(f"ok     {name}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
