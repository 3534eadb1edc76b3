"""What do the commands of keys call, and what do they print?"""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from gonogo.cli.commands import say


def add(options: Namespace) -> int:
    """Make a key: it alone on stdout, so that it can be piped to where it is kept."""
    from gonogo.workflow.keys import add_key

    secret = add_key(options.folder, options.name, options.scope)
    print(f"The key of '{options.name}', told this once: only its hash is kept.", file=sys.stderr)
    say(secret)
    return 0


def show(options: Namespace) -> int:
    """Which keys there are."""
    from gonogo.workflow.keys import list_keys

    keys = list_keys(options.folder)
    if options.json:
        say(json.dumps([{"id": key.id, "name": key.name, "scopes": list(key.scopes), "made_at": key.made_at} for key in keys], indent=2))
        return 0
    if not keys:
        say("no keys: the server answers to this machine alone\nnext: gonogo keys add NAME --scope predict")
        return 0
    width = max(len(key.name) for key in keys)
    say("\n".join(f"{key.name:<{width}}  {','.join(key.scopes):<30}  made {key.made_at}  gng_{key.id}_…" for key in keys))
    return 0


def revoke(options: Namespace) -> int:
    """Take a key back."""
    from gonogo.workflow.keys import revoke_key

    key = revoke_key(options.folder, options.name)
    say(f"'{key.name}' ({', '.join(key.scopes)}) opens nothing any more; a running server follows within a second")
    return 0
