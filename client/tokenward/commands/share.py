"""`auth share`: open a socket of the agent for use elsewhere.

It hands out one credential, or, with `--relay`, none: then commands on the other side use several
indexes behind a relay (exec/share.py). It prints the socket and how the other side uses it. The
other side reaches it by a mounted folder or by `ssh -R`: `--for` prints what to paste there
(exec/elsewhere.py), and opens nothing. `--stop` ends one share, or all.
"""

from __future__ import annotations

import os
import sys

from tokenward.credentials import unlocking
from tokenward.credentials.lookup import TOOL
from tokenward.credentials.narrowing import read_restriction
from tokenward.errors import CommandError
from tokenward.transport.connect import AgentAbsent
from tokenward.ui import argument_parser
from tokenward.ui.formatting import count_of, join_words, timestamp
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.exec.elsewhere import Place

_SSH_EXAMPLE = "`auth share --for ssh build.example`"


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    from tokenward.exec.elsewhere import PLACES

    parser.add_option(
        "--service",
        "SERVICE",
        "the index whose credential is shared; one, or several with `--relay`",
        action="append",
    )
    parser.add_username("the user name; needed if several are stored for it")
    parser.add_option(
        "--project",
        "NAME",
        "tokens for this project only; with `--relay` it may be published; may be repeated",
        action="append",
    )
    parser.add_option(
        "--ttl", "TIME", "end after 15m, 8h ... (default: never)", type=argument_parser.lifetime
    )
    parser.add_option("--at", "PATH", "the path of the socket")
    parser.add_option(
        "--uid",
        "N",
        "also admit this user, besides you and root; may be repeated",
        action="append",
        type=argument_parser.user_id,
    )
    parser.add_flag("--whole", "hand out the stored credential itself, not attenuated tokens")
    parser.add_flag(
        "--relay", "hand out nothing: commands there run behind a relay, by `auth exec`"
    )
    parser.add_flag("--read-only", "with --relay: nothing may be published")
    parser.add_option(
        "--tunnel",
        "HOST",
        "with --relay: also lend a way to this public HOST or HOST:PORT; may be repeated",
        action="append",
    )
    parser.add_flag(
        "--near-end", "print the other side of `--relay` as one file, for Python 3.9 or later"
    )
    parser.add_option(
        "--for",
        "PLACE",
        "print what to paste for docker, devcontainer, compose, kubernetes or ssh HOST:"
        " for the shares of config.toml, or for the `--service`s named",
        dest="place",
        type=argument_parser.one_of(PLACES),
    )
    parser.add_positional("host", "[HOST]", "with --for ssh: the host", nargs="?")
    parser.add_flag("--stop", "end the share at the PATH of `--at`, or all shares")
    parser.examples(
        "auth share --service pypi --project mine --ttl 8h    prints the socket's path",
        "auth share --service pypi --at ~/job/tokenward.sock  for a container that mounts ~/job",
        "ssh -R /tmp/tw.sock:$(auth share --service pypi) build.example",
        "auth share --relay --service corp --read-only        commands there never hold it",
        "auth share --near-end > tokenward-exec               for hosts without tokenward",
        "auth share --for docker                              what to paste for a container",
        "auth share --stop",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Start a share, or stop it."""
    at = None if arguments.at is None else os.path.abspath(arguments.at)
    if arguments.stop:
        _stop(at, arguments, session)
        return
    if arguments.place is not None:
        _print_recipes(at, arguments, session)
        return
    if arguments.host is not None:
        raise CommandError("A host is for `--for ssh`.", "`auth share --help`")
    if arguments.near_end:
        from tokenward.exec.elsewhere import near_end

        session.terminal.data(near_end())
        return
    if arguments.service is None:
        raise CommandError("No service is named.", "`auth share --service pypi`")
    if arguments.relay:
        _share_relay(at, arguments, session)
        return
    if arguments.read_only or arguments.tunnel:
        given = "--read-only" if arguments.read_only else "--tunnel"
        raise CommandError(f"`{given}` is for shares with `--relay`.", "`auth share --help`")
    service, *others = map(session.service, arguments.service)
    if others:
        named = join_words([display(each.publish_key) for each in (service, *others)])
        raise CommandError(
            f"A shared socket hands out one credential, but several are named: {named}.",
            "one `auth share` for each, or one with `--relay`; `[[share]]` in config.toml takes several",
        )
    session.agree_to(service, "Share its credential?", "Nothing is shared.")
    asked = read_restriction(arguments.project, None, otherwise=TOOL)
    answer = unlocking.ask(
        session,
        "share",
        offer=True,
        service=service.publish_key,
        username="" if arguments.no_username else arguments.username or service.username,
        projects=" ".join(asked.projects) or None,
        lifetime=arguments.ttl,
        at=at,
        uids=" ".join(map(str, arguments.uid or ())) or None,
        whole=arguments.whole or None,
    ).header
    described = to_json(answer)
    if session.json:
        session.write_json(described)
        return
    end = f"until {described['ends']}" if described["ends"] else "until `auth share --stop`"
    what = "the credential" if answer["whole"] else "attenuated tokens"
    whose = f" ({join_words(answer['projects'])})" if answer["projects"] else ""
    session.terminal.lines([answer["socket"]])
    session.terminal.say(
        f"It hands out {what} for {display(answer['service'])}{whose} {end}.",
        f"`TOKENWARD_SOCK={answer['socket']}`, or its path on the other side",
    )


def _share_relay(at: str | None, arguments: Namespace, session: Session) -> None:
    """Share what commands use behind a relay."""
    from tokenward.exec.share import open_share, tunnel

    if arguments.whole or arguments.username is not None or arguments.no_username:
        given = "--whole" if arguments.whole else "--username"
        raise CommandError(
            f"`{given}` is not for shares with `--relay`, which hand out nothing.",
            "the URL of a service can name the account: `--service https://NAME@index.example/`",
        )
    if arguments.read_only and arguments.project:
        raise CommandError(
            "With `--read-only` nothing may be published.", "leave `--read-only` or `--project` out"
        )
    projects = read_restriction(arguments.project, None, otherwise=TOOL).projects
    services = list(
        {
            (each.key, each.username): each for each in map(session.service, arguments.service)
        }.values()
    )
    answer = open_share(
        services,
        projects,
        session,
        read_only=arguments.read_only,
        lifetime=arguments.ttl,
        at=at,
        uids=" ".join(map(str, arguments.uid or ())) or None,
        tunnels=" ".join(map(tunnel, arguments.tunnel or ())) or None,
    )
    described = to_json(answer)
    if session.json:
        session.write_json(described)
        return
    end = f"until {described['ends']}" if described["ends"] else "until `auth share --stop`"
    what = f"may publish {join_words(answer['projects'])}" if answer["projects"] else "only read"
    names = join_words([each.name or display(each.key) for each in services])
    session.terminal.lines([answer["socket"]])
    session.terminal.say(
        f"Commands behind it use {names} and {what}, {end}.",
        f"`TOKENWARD_SOCK={answer['socket']} auth exec -- COMMAND`, or its path on the other side",
    )


def _print_recipes(at: str | None, arguments: Namespace, session: Session) -> None:
    """Print what to paste elsewhere, for declared shares or for one of these services."""
    from tokenward.exec import elsewhere

    others = (arguments.username, arguments.project, arguments.ttl, arguments.uid, arguments.tunnel)
    flags = (arguments.no_username, arguments.whole, arguments.read_only, arguments.near_end)
    if any(other is not None for other in others) or any(flags):
        raise CommandError(
            "`--for` takes `--service`, `--at`, `--relay` and nothing else: it opens no share.",
            "`auth share --help`",
        )
    if (arguments.place == elsewhere.SSH) is (arguments.host is None):
        raise CommandError("`--for ssh` needs a host, and no other place has one.", _SSH_EXAMPLE)
    if arguments.host is not None and (not arguments.host or arguments.host.startswith("-")):
        raise CommandError("This is not the name of a host.", _SSH_EXAMPLE)
    found = _places(at, arguments, session)
    private = _private_folders(session)
    texts = []
    for place in found:
        if arguments.place != elsewhere.SSH:
            elsewhere.require_apart(place, private)
        fresh = os.urandom(4).hex()
        texts.append(elsewhere.recipe(arguments.place, place, arguments.host, fresh))
    if session.json:
        sockets = [f"{place.folder}/{place.name}" for place in found]
        recipes = [
            {"socket": socket, "relay": place.relay, "text": text}
            for socket, place, text in zip(sockets, found, texts, strict=True)
        ]
        session.write_json({"for": arguments.place, "recipes": recipes})
        return
    for place, text in zip(found, texts, strict=True):
        if len(found) > 1 and arguments.place != elsewhere.DEVCONTAINER:  # JSON has no comments
            session.terminal.data(f"# {place.folder}/{place.name}")
        session.terminal.data(text)
        if place.relay:
            session.terminal.say(
                "Commands there run by the near end, a file beside the socket.",
                f"`auth share --near-end > {place.folder}/{elsewhere.NEAR_END}`",
            )
    if arguments.service is not None:
        named = "".join(f" --service {each}" for each in arguments.service)
        relay = " --relay" if arguments.relay else ""
        where = f"{found[0].folder}/{found[0].name}"
        session.terminal.say(
            "This opens no share.", f"`auth share{relay}{named} --at {where}` opens this one"
        )


def _places(at: str | None, arguments: Namespace, session: Session) -> list[Place]:
    """Return the shares that recipes are for. Raises CommandError."""
    from tokenward.exec import elsewhere

    if arguments.service is not None:
        for each in arguments.service:
            session.service(each)
        home = session.environ.get("HOME", "")
        return [elsewhere.place_of(at or f"{home}/job/tokenward.sock", relay=arguments.relay)]
    if arguments.relay:
        raise CommandError("`--relay` is for a `--service` that is named.", "`auth share --help`")
    declared = [each for each in session.settings.config.shares if at in {None, each.at}]
    if not declared:
        where = session.settings.config.file
        raise CommandError(
            f"{where} declares no share{'' if at is None else f' at {at}'}.",
            "`--service SERVICE` names what is shared; docs/SHARING.md has `[[share]]`",
        )
    return [elsewhere.place_of(each.at, relay=each.relay) for each in declared]


def _private_folders(session: Session) -> dict[str, str]:
    """Return the folders that nothing elsewhere may see, with what they hold."""
    places = session.settings.directories
    found = {
        places.credentials: "the credentials directory",
        places.state: "the state directory",
        session.environ.get("HOME", ""): "your home directory",
    }
    if sys.platform != "win32":
        from tokenward.transport.unix import runtime_directory

        runtime = runtime_directory(session.environ, places.state)
        if runtime is not None:
            found[runtime] = "the agent's own socket"
    if sock := session.environ.get("TOKENWARD_SOCK"):
        found[os.path.dirname(sock)] = "the agent's own socket"
    return {os.path.realpath(path): what for path, what in found.items() if path}


def to_json(share: dict[str, Any]) -> dict[str, Any]:
    """Return an agent's description of a share, with its end as JSON has it."""
    keys = ("socket", "service", "username", "projects", "whole", "uids")
    found = {key: share[key] for key in keys} | {"ends": timestamp(share["ends"])}
    found |= {"relay": share.get("relay") is True, "tunnels": share.get("tunnels") or []}
    return found | {"declared": share.get("declared") is True, "problem": share.get("problem")}


def _stop(at: str | None, arguments: Namespace, session: Session) -> None:
    others = (
        *(arguments.service, arguments.username, arguments.project, arguments.ttl),
        *(arguments.uid, arguments.tunnel, arguments.place, arguments.host),
    )
    flags = (arguments.whole, arguments.relay, arguments.read_only, arguments.near_end)
    if any(other is not None for other in others) or any(flags):
        raise CommandError("`--stop` takes `--at` and nothing else.", "`auth share --help`")
    stopped: list[Any] = []
    try:
        connection = session.connect(start=False)
        stopped = connection.ask("unshare", at=at).header["stopped"]
    except AgentAbsent:
        pass  # its shares ended with it
    session.write_json({"stopped": stopped})
    if not session.json:
        session.terminal.say(f"Stopped {count_of(len(stopped), 'shared socket')}.")
