"""Delivers a notice to Slack and is killed before it can note that it did: for a test of what comes after."""

from __future__ import annotations

import os
import signal
import sys

import redis
from pydantic import SecretStr

from notifications import slack
from notifications.delivery import Delivery
from notifications.notice import Notice
from settings.schema import NotificationsSettings, SlackSettings
from stores.redis.turns import Turns
from stores.sql.engine import open_engine
from stores.sql.stores import open_stores
from sync.clock import SystemClock


class Doomed:
    name = "slack"

    def __init__(self, channel: slack.SlackApi) -> None:
        self._channel = channel

    def send(self, notice: Notice) -> str:
        self._channel.send(notice)
        os.kill(os.getpid(), signal.SIGKILL)
        return "never"


def main(database_url: str, redis_url: str, namespace: str, slack_url: str, run_id: str) -> None:
    settings = NotificationsSettings(slack=SlackSettings(token=SecretStr("xoxb-secret"), base_url=slack_url))
    channel = slack.open_channel(settings)
    assert isinstance(channel, slack.SlackApi)
    stores = open_stores(open_engine(database_url, busy_timeout_s=5), SystemClock())
    delivery = Delivery(
        {"slack": Doomed(channel)},
        settings,
        runs=stores.runs,
        outbox=stores.notices,
        turns=Turns(redis.Redis.from_url(redis_url), namespace, turn_lasts_s=0.5),
        name_of=lambda _run: None,
        clock=SystemClock(),
    )
    delivery.deliver("sync_succeeded", "slack", run_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
