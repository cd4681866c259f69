"""What tells upstreams apart, and what an upstream never shows."""

from __future__ import annotations

from dataclasses import replace

from providers.upstream import Upstream

UPSTREAM = Upstream(
    provider="playhq",
    base_url="https://user:word@api.playhq.com/base",
    credential="s3cret",
    headers=(("x-api-key", "s3cret"), ("x-phq-tenant", "ca")),
    params=(("api_token", "s3cret"),),
    requests_per_s=5,
    concurrency=4,
)


def test_answers_are_apart_by_credential_tenant_and_address() -> None:
    others = [
        replace(UPSTREAM, credential="other"),
        replace(UPSTREAM, headers=(("x-api-key", "s3cret"), ("x-phq-tenant", "nzc"))),
        replace(UPSTREAM, provider="playcricket"),
    ]
    keys = {upstream.answer_key("https://x/a") for upstream in [UPSTREAM, *others]}
    assert len(keys | {UPSTREAM.answer_key("https://x/b")}) == 5


def test_limits_do_not_change_who_shares_answers_and_quota() -> None:
    faster = replace(UPSTREAM, requests_per_s=50.0)
    assert faster.answer_key("a") == UPSTREAM.answer_key("a")
    assert faster.quota_name == UPSTREAM.quota_name


def test_secrets_are_not_shown() -> None:
    shown = repr(replace(UPSTREAM, base_url="https://api.playhq.com"))
    assert "s3cret" not in shown + UPSTREAM.quota_name + UPSTREAM.answer_key("a")
    assert UPSTREAM.host == "api.playhq.com"
