"""What `config check` and `config show` say, and the page that documents every setting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from settings import live, problems, schema_tree
from settings.layers import DEFAULTS, HERE
from settings.loader import Loaded

PAGE_HEAD = """# Settings

Made from `settings/defaults.toml` by `python -m settings.documents`; a test holds them together.

Layers, each over the one before: defaults, deployment preset (`CLUBSYNC_DEPLOYMENT`), environment
(`CLUBSYNC_ENV`), the file that `CLUBSYNC_CONFIG` names (TOML, YAML or JSON), environment variables, live
overrides (`clubsync config set`). A variable is `CLUBSYNC_<SECTION>__<KEY>`, so `http.proxies` is
`CLUBSYNC_HTTP__PROXIES`; lists are `a, b`; an empty variable counts as not set. `REDIS_URL`,
`DATABASE_URL`, `PORT`, `CLUBSYNC_ENV` and `CLUBSYNC_HOME` have names of their own.

`clubsync config check` reports every mistake at once, `clubsync config show --origin` where each value
came from. Unknown settings are mistakes. Secrets are never shown. `clubsync config check --connect` also
reaches what the settings name: Redis, SQL, the CMS, each provider (with its key), each proxy, each channel
(Slack's token by `auth.test`, mail up to NOOP, webhooks up to TLS). Nobody is told anything; what fails is
named with what would be right, and the command exits with 1.

A running process takes over a changed file, and what `clubsync config set` changes, within about a
second; SIGHUP makes it look at once. What is refused changes nothing, and the process says why:
`clubsync status`, `/health` and the dashboard tell a bad file (mend it there; the version in force is good)
from a version that a process refuses (`config set`, or `config rollback`). What it reads only when it starts
is marked below (*Restart worker.*), and the process says that it waits for it, until it is started anew or
the value is again the one that it started with.
Every accepted set of settings is a numbered version with author, time, reason and difference, and can be
restored as a new one; settings that a later release has no more are then left out, and it says which.
Secrets, and what differs from process to process (`home`, `redis.url`, `database.url`, `web.host`,
`web.port`), are no part of a version and are not set live.

A run keeps the version that it began with, and names it. One that was put off and goes on after a change
of what shapes runs (`sync`, `presets`, `providers`, `http`, `cms`) begins anew under the new version:
nothing that it had collected under the old one counts.

## On one worker first

`clubsync config set KEY=VALUE --canary 5m` puts a version on trial: one worker takes it over, the others
stay as they are. The leading scheduler looks every second, and the trial ends by itself:

- **taken back** as soon as the worker's attempts fail more often than they should. Attempts of all other
  workers since the trial began are the measure; if they are fewer than twenty, also what every worker
  attempted before, under the version that the others keep. Put-off attempts (quota, busy account) count on
  neither side, partial runs are failures. The difference must be at least `canary.least_rise`, and its
  chance by Fisher's exact test under `canary.early_significance`, or under `canary.significance` once the
  time is over: strict while it looks often, as usual at the end (Haybittle-Peto);
- **taken back** when the worker refuses it, when a second worker ends under it (after a first one it moves
  to another and begins anew), or when other settings come into force: a changed file, a rollback;
- **promoted** otherwise, when its time is over.

Both are told in the audit, the log and, as soon as alerts are looked for, to whoever is told of them;
`clubsync config history` keeps them.
`clubsync config canary` shows the trial, `--promote` and `--withdraw` end it. Nothing else is set meanwhile,
except by a rollback. What no running worker takes over is refused with the reason: a trial would prove
nothing. If no scheduler runs, nobody judges, and the trial goes on until one does.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting as an operator reads it; `value` is masked where it is a secret."""

    key: str
    value: str
    origin: str


def describe(loaded: Loaded) -> list[Row]:
    """Every setting in the schema's order, with the file or variable that gave it."""
    values = dict(schema_tree.leaves(loaded.settings.model_dump(mode="json")))
    return [
        Row(key, problems.show(key, value), loaded.origins.get(key, DEFAULTS))
        for key, value in values.items()
    ]


@dataclass(frozen=True, slots=True)
class Documented:
    """A setting with its default as TOML, or None, and the comment above it."""

    key: str
    default: str | None
    reason: str


def documented(path: Path = HERE / DEFAULTS) -> Iterator[Documented]:
    """Every setting of defaults.toml, `#name =` lines among them."""
    section = ""
    comment: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section, comment = f"{line.strip('[]')}.", []
        elif line.startswith("# "):
            comment.append(line[2:])
        elif "=" in line:
            name, _, default = line.lstrip("#").partition("=")
            yield Documented(section + name.strip(), default.strip() or None, " ".join(comment))
            comment = []
        else:
            comment = []


def sections(path: Path = HERE / DEFAULTS) -> dict[str, str]:
    """The comment above each section of defaults.toml."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith("["):
            found[line.strip("[]")] = " ".join(comment)
        comment = [*comment, line[2:]] if line.startswith("# ") else []
    return found


def page() -> str:
    """docs/settings.md."""
    lines = [PAGE_HEAD]
    reasons = sections()
    current = None
    for setting in documented():
        section, _, _ = setting.key.rpartition(".")
        if section != current:
            current = section
            lines += [f"\n## {section or 'top level'}\n"]
            lines += [f"{reasons[section]}\n"] if reasons.get(section) else []
            lines += ["| setting | default | |", "|---|---|---|"]
        known = schema_tree.find(setting.key)
        secret = " (secret)" if known and known.is_secret else ""
        default = f"`{setting.default}`" if setting.default is not None else "not set"
        lines.append(f"| `{setting.key}`{secret} | {default} | {_remark(setting)} |")
    return "\n".join(lines) + "\n"


def _remark(setting: Documented) -> str:
    restarted = " and ".join(live.restarted_by(setting.key))
    return f"{setting.reason} *Restart {restarted}.*".strip() if restarted else setting.reason


if __name__ == "__main__":
    (HERE.parent / "docs" / "settings.md").write_text(page())
