"""The command line: python -m core COMMAND.

Results go to standard output, sentences to standard error. Exit codes: 0 done, 1 not done, 2 wrong words.
"""

import argparse
import errno
import getpass
import socket
import sys
from collections.abc import Sequence

from core import log
from core.analytics.frames_tables import TABLES
from core.arguments import Command, argument, count, day, from_one, moment, port
from core.auth import accounts, audit, links, passwords, privacy, roles, second_factor, tickets
from core.backup import run_backup, run_restore
from core.config import get_settings, secret_from_environment
from core.db.engine import system_session
from core.db.migrate import migrate
from core.db.vault import check_keys, rotate_keys
from core.dev_store import run_clean, run_seed
from core.doctor import run_doctor
from core.errors import AppError, InputError
from core.figures import run_export, run_metrics, run_reconcile
from core.sync import connect, jobs, scheduler, tokens
from core.sync.streams import NAMES
from core.sync.tokens import Token

_ACTOR = "command line"


def say(text: str) -> None:
    """A sentence for whoever runs the command."""
    sys.stderr.write(text + "\n")


def _make_ready() -> None:
    """Before a command that needs secrets: the newest tables, and keys that open what is stored."""
    migrate()
    check_keys()


def run_migrate(_: argparse.Namespace) -> int:
    """Bring the database to the newest tables."""
    migrate()
    say("The database is ready.")
    return 0


def run_welcome(arguments: argparse.Namespace) -> int:
    """Prepare the database and say where to go and how to sign in; the port has to be free."""
    from core.web.startup import prepare  # the routes take a second to load, and no other command needs them

    _need_free_port(arguments.port)
    prepare()
    lines = [f"Shoptally: http://localhost:{arguments.port}"]
    if sign_ins := accounts.demo_sign_ins():
        lines.append("Demo sign-ins (also on the sign-in page while DEMO is on):")
        lines += [f"  {demo.email:32}{demo.password:28}{demo.about}" for demo in sign_ins]
    width = max(map(len, lines))
    say("\n".join(("", "-" * width, *lines, "-" * width, "")))
    return 0


def _need_free_port(port: int) -> None:
    """Streamlit would say so only after the address and the sign-in were printed as if all was well."""
    with socket.socket() as probe:
        # As the server does: without it a port that was closed a moment ago counts as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            reason = "may not be used by you" if error.errno == errno.EACCES else "is taken by another program"
            other = port + 1 if 1024 <= port < 65535 else 8501
            raise InputError(f"Port {port} {reason}. Choose another one: make run PORT={other}") from error


def run_user_add(arguments: argparse.Namespace) -> int:
    """Create a user; the password is read from standard input, or made and printed once."""
    migrate()
    if arguments.password_stdin:
        password, made = sys.stdin.readline().rstrip("\n"), False
    else:
        password, made = passwords.new_password(), True
    accounts.add_user(arguments.email, arguments.name or arguments.email.split("@")[0], password)
    say(f"Created {arguments.email}." + (" The password, shown only now:" if made else ""))
    if made:
        sys.stdout.write(password + "\n")
    return 0


def run_user_disable(arguments: argparse.Namespace) -> int:
    """Switch a user off: every session ends, and no password or key works any more."""
    return _set_active(arguments.email, on=False)


def run_user_enable(arguments: argparse.Namespace) -> int:
    """Switch a user on again."""
    return _set_active(arguments.email, on=True)


def _set_active(email: str, *, on: bool) -> int:
    migrate()
    accounts.set_active(accounts.user_id_of(email), on)
    audit.record(_ACTOR, "user_enabled" if on else "user_disabled", target=email)
    say(f"{email} is switched {'on' if on else 'off'}.")
    return 0


def run_user_reset_password(arguments: argparse.Namespace) -> int:
    """Print a one-time link to choose a new password, or set the one on standard input; every session ends."""
    migrate()
    user_id = accounts.user_id_of(arguments.email)
    if arguments.without_second_factor:
        second_factor.forget(user_id, actor=_ACTOR)
    if arguments.password_stdin:
        accounts.set_password(user_id, sys.stdin.readline().rstrip("\n"))
        say(f"The password of {arguments.email} is changed.")
    else:
        secret = tickets.issue(links.RESET, user_id=user_id, lifetime=links.RESET_LASTS)
        say(f"A link for {arguments.email}, good for one hour and once:")
        sys.stdout.write(links.link(links.RESET, secret) + "\n")
    audit.record(_ACTOR, "password_reset", target=arguments.email)
    return 0


def run_shop_add(arguments: argparse.Namespace) -> int:
    """Connect a store after asking Shopify who it is."""
    _make_ready()
    token = _token(arguments)
    owner = accounts.user_id_of(arguments.owner) if arguments.owner else None
    facts = connect.inspect_shop(arguments.domain, token)
    connect.connect_shop(facts, token, owner_user_id=owner, personal_data=arguments.personal_data)
    say(f"Connected {facts.name} ({facts.domain}): {facts.currency}, {facts.time_zone}.")
    if facts.missing_scopes:
        say(f"The token lacks {', '.join(facts.missing_scopes)}: what needs them will not be synced.")
    say(f"Next: python -m core sync --shop {facts.domain}")
    return 0


def _token(arguments: argparse.Namespace) -> Token | str:
    if arguments.client_credentials:
        return tokens.ask_for(arguments.domain)
    return secret_from_environment(arguments.token_env) if arguments.token_env else _token_from_input()


def _token_from_input() -> str:
    token = getpass.getpass("Admin API access token: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not token.strip():
        raise InputError("No access token was given. Use --token-env NAME, or send it on standard input.")
    return token.strip()


def run_shop_grant(arguments: argparse.Namespace) -> int:
    """Let a user open a store."""
    migrate()
    shop_id, user_id = connect.find_shop(arguments.shop), accounts.user_id_of(arguments.email)
    with system_session(write=True) as session:
        accounts.grant(session, user_id, shop_id, arguments.role)
        target = f"{arguments.email}: {arguments.role}"
        audit.record(_ACTOR, "role_change", shop_id=shop_id, target=target, session=session)
    say(f"{arguments.email} is {arguments.role} of {arguments.shop} now.")
    return 0


def run_shop_delete(arguments: argparse.Namespace) -> int:
    """Delete a store with everything stored of it, and print how many rows went."""
    migrate()
    shop_id = connect.find_shop(arguments.shop)
    if not arguments.yes:
        raise InputError(f"This deletes everything stored of {arguments.shop}, for good. Add --yes to do it.")
    counts = privacy.delete_shop(shop_id, actor=_ACTOR, kind="deleted here")
    sys.stdout.writelines(f"{table:28}{number:>12}\n" for table, number in counts.items() if number)
    say(f"{arguments.shop} is deleted.")
    return 0


def run_sync(arguments: argparse.Namespace) -> int:
    """Sync a store here and now; exit 0 only when every stream it can have succeeded."""
    _make_ready()
    shop_id = connect.find_shop(arguments.shop)
    run = jobs.sync_now(shop_id, arguments.stream, full=arguments.full, on_progress=say)
    for stream, counts in run.counts.items():
        say(f"{jobs.label(stream)}: " + ", ".join(f"{number:,} {name}" for name, number in counts.items()))
    say(f"{run.rows:,} objects in {run.elapsed_s:.1f} s ({run.rows_per_s:,.0f} a second): {run.outcome}.")
    if run.problem:
        say(run.problem)
    return 0 if run.outcome == "ok" else 1


def run_worker(arguments: argparse.Namespace) -> int:
    """Sync every store that is due until told to end; any number of workers may run beside the app."""
    from core.reports import mailing  # what makes the reports takes a second to load too

    _make_ready()
    say(f"Working with {arguments.threads} threads. Ctrl+C or SIGTERM ends it after the batches at hand.")
    scheduler.work(arguments.threads, mailing.JOBS)
    say("Ended. What was going on is given back and goes on with the next worker.")
    return 0


def run_rotate_keys(_: argparse.Namespace) -> int:
    """Encrypt every stored secret anew with the first of APP_ENCRYPTION_KEYS; may be stopped and run again."""
    _make_ready()
    done = rotate_keys()
    counts = ", ".join(f"{number:,} {what}" for what, number in done.counts.items())
    audit.record(_ACTOR, "keys_rotated", target=counts, result="failed" if done.lost else "ok")
    say(f"Encrypted anew with the first key: {counts}.")
    if done.lost:
        say(f"{len(done.lost):,} do not open with it: {', '.join(done.lost)}. Keep the old keys, and run this again.")
        return 1
    say("Everything opens with the first key: the others may be taken out of APP_ENCRYPTION_KEYS.")
    return 0


_SEEDED = {"customers": 50, "products": 20, "orders": 100, "months": 12, "seed": 1}
_EMAIL = argument("--email", required=True)
_SHOP = argument("--shop", required=True, metavar="DOMAIN", help="the store's myshopify.com domain")
_FILE = argument("file", metavar="FILE")
_FORCED = argument("--force-name", metavar="NAME", help="the store's name, where it is no development store")
_DAYS = (
    argument("--from", dest="start", type=day, required=True, metavar="YYYY-MM-DD"),
    argument("--to", dest="end", type=day, required=True, metavar="YYYY-MM-DD"),
)

COMMANDS: tuple[Command, ...] = (
    Command("migrate", run_migrate),
    Command("welcome", run_welcome, (argument("--port", type=port, default=8501),)),
    Command(
        "user add",
        run_user_add,
        (
            argument("--email", required=True),
            argument("--name"),
            argument("--password-stdin", action="store_true", help="read the password from standard input"),
        ),
    ),
    Command("user disable", run_user_disable, (_EMAIL,)),
    Command("user enable", run_user_enable, (_EMAIL,)),
    Command(
        "user reset-password",
        run_user_reset_password,
        (
            _EMAIL,
            argument("--password-stdin", action="store_true", help="read the new password from standard input"),
            argument("--without-second-factor", action="store_true", help="switch the second factor off too"),
        ),
    ),
    Command(
        "shop add",
        run_shop_add,
        (
            argument("--domain", required=True),
            argument("--token-env", metavar="NAME", help="variable that holds the token; else standard input"),
            argument(
                "--client-credentials",
                action="store_true",
                help="ask Shopify for the token with SHOPIFY_API_KEY and SHOPIFY_API_SECRET, and renew it",
            ),
            argument("--owner", metavar="EMAIL", help="the user who will own the store here"),
            argument("--personal-data", action="store_true", help="fetch customers' names and e-mails too"),
        ),
    ),
    Command(
        "shop grant",
        run_shop_grant,
        (_SHOP, argument("--email", required=True), argument("--role", default="analyst", choices=roles.ROLES)),
    ),
    Command("shop delete", run_shop_delete, (_SHOP, argument("--yes", action="store_true", help="really delete it"))),
    Command(
        "sync",
        run_sync,
        (
            _SHOP,
            argument("--full", action="store_true", help="read everything anew"),
            argument("--stream", nargs="+", choices=NAMES, help="only these; else all that hold data"),
        ),
    ),
    Command("worker", run_worker, (argument("--threads", type=from_one, default=1, metavar="N"),)),
    Command("rotate-keys", run_rotate_keys),
    Command("doctor", run_doctor),
    Command("backup", run_backup, (_FILE,)),
    Command("restore", run_restore, (_FILE,)),
    Command(
        "dev-store seed",
        run_seed,
        (
            _SHOP,
            *(argument(f"--{what}", type=count, default=some, metavar="N") for what, some in _SEEDED.items()),
            _FORCED,
        ),
    ),
    Command("dev-store clean", run_clean, (_SHOP, _FORCED)),
    Command(
        "metrics",
        run_metrics,
        (
            _SHOP,
            *_DAYS,
            argument("--by", choices=("day", "week", "month"), default="day"),
            argument("--top", type=from_one, default=10, metavar="N"),
            argument("--json", action="store_true"),
        ),
    ),
    Command("reconcile", run_reconcile, (_SHOP, *_DAYS)),
    Command(
        "export",
        run_export,
        (
            _SHOP,
            argument("--table", required=True, choices=TABLES),
            argument("--since", type=moment, metavar="MOMENT", help="only rows changed since; UTC unless it says"),
            argument("--to", required=True, metavar="FILE", help="the Parquet file; - for standard output"),
        ),
    ),
)


def parser() -> argparse.ArgumentParser:
    """The parser for COMMANDS."""
    top = argparse.ArgumentParser(prog="python -m core", description="Shoptally's command line.", allow_abbrev=False)
    groups = {"": top.add_subparsers(required=True, metavar="COMMAND")}
    for command in COMMANDS:
        *group, word = command.words.split()
        name = " ".join(group)
        if name not in groups:
            groups[name] = groups[""].add_parser(name).add_subparsers(required=True, metavar="COMMAND")
        # Not abbreviated: --token SECRET would be taken for --token-env, and the secret repeated as a name.
        about = command.run.__doc__
        one = groups[name].add_parser(word, help=about, description=about, allow_abbrev=False)
        for each in command.arguments:
            one.add_argument(*each.names, **each.options)
        one.set_defaults(run=command.run)
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; errors are sentences on standard error."""
    arguments = parser().parse_args(words)
    try:
        log.configure(get_settings().log_level, get_settings().log_format)
        code: int = arguments.run(arguments)
    except AppError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped. What was stored is safe; run the command again to go on.")
        return 130
    return code


if __name__ == "__main__":
    raise SystemExit(main())
