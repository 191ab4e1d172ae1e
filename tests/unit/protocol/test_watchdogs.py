"""Counters that must advance, the enable token, and device time."""

from __future__ import annotations

import pytest

from isoalign.protocol import CounterWatchdog, EnableTokenWatch, TimeOffset, next_counter
from isoalign.protocol.messages import BarPosition
from isoalign.protocol.watchdog import COUNTER_MODULUS, is_newer

ENABLED, RELEASED, SQUEEZED = BarPosition.ENABLED, BarPosition.RELEASED, BarPosition.SQUEEZED


def test_one_value_is_not_enough() -> None:
    watchdog = CounterWatchdog(0.15)
    assert not watchdog.feed(5, 0.0)
    assert not watchdog.is_fresh(0.0)
    assert watchdog.feed(6, 0.01)
    assert watchdog.is_fresh(0.1)
    assert not watchdog.is_fresh(0.16)


def test_a_value_that_comes_again_is_not_an_advance() -> None:
    watchdog = CounterWatchdog(0.15)
    watchdog.feed(5, 0.0)
    watchdog.feed(6, 0.0)
    for step in range(1, 30):
        watchdog.feed(6, step * 0.01)
    assert watchdog.age_s(0.29) == pytest.approx(0.29)


def test_a_counter_that_goes_back_begins_anew() -> None:
    watchdog = CounterWatchdog(0.15)
    watchdog.feed(100, 0.0)
    watchdog.feed(101, 0.0)
    assert not watchdog.feed(3, 0.1)
    assert not watchdog.is_fresh(0.2)
    assert watchdog.feed(4, 0.2)


def test_counters_wrap_before_the_value_for_not_available() -> None:
    last = COUNTER_MODULUS - 1
    assert next_counter(last) == 0
    assert is_newer(0, last)
    assert not is_newer(last, 0)
    assert not is_newer(7, 7)


def press(token: EnableTokenWatch, count: int, start_s: float, *, bar: BarPosition = ENABLED, steps: int = 3) -> None:
    for step in range(steps):
        token.feed(bar, count, 1000 * count + step, start_s + 0.05 * step)


def test_a_press_after_a_release_enables() -> None:
    token = EnableTokenWatch(0.15)
    token.feed(RELEASED, 4, 7, 0.0)
    press(token, 5, 0.1)
    assert token.is_enabled(0.25)
    assert not token.is_enabled(0.4)


def test_a_switch_that_is_already_held_does_not_enable() -> None:
    token = EnableTokenWatch(0.15)
    press(token, 5, 0.0)
    assert token.is_fresh(0.1)
    assert not token.is_enabled(0.1)


@pytest.mark.parametrize("bar", [RELEASED, SQUEEZED])
def test_only_the_middle_position_enables(bar: BarPosition) -> None:
    token = EnableTokenWatch(0.15)
    token.feed(RELEASED, 4, 7, 0.0)
    press(token, 5, 0.1, bar=bar)
    assert not token.is_fresh(0.2)


def test_after_a_stop_the_same_press_no_longer_enables() -> None:
    token = EnableTokenWatch(0.15)
    token.feed(RELEASED, 4, 7, 0.0)
    press(token, 5, 0.1)
    token.require_new_press()
    token.feed(ENABLED, 5, 5003, 0.3)
    token.feed(ENABLED, 5, 5004, 0.35)
    assert token.is_fresh(0.35)
    assert not token.is_enabled(0.35)
    press(token, 6, 0.4)
    assert token.is_enabled(0.5)


def test_an_older_press_count_does_not_enable() -> None:
    """A replayed recording of an earlier press."""
    token = EnableTokenWatch(0.15)
    press(token, 50, 0.0)
    token.require_new_press()
    press(token, 49, 0.2)
    assert not token.is_enabled(0.3)


def test_a_new_session_knows_nothing_of_the_switch() -> None:
    token = EnableTokenWatch(0.15)
    token.feed(RELEASED, 4, 7, 0.0)
    press(token, 5, 0.1)
    token.forget()
    assert token.press_count is None
    token.feed(ENABLED, 5, 5004, 0.3)
    token.feed(ENABLED, 5, 5005, 0.35)
    assert not token.is_enabled(0.35)


def test_the_quickest_exchange_counts() -> None:
    offset = TimeOffset()
    offset.add(0, 1_000_000 + 9_000, 1_000_000 + 9_000, 10_000)  # slow and one-sided: says +4 ms
    offset.add(20_000, 1_020_000 + 100, 1_020_000 + 100, 20_200)
    assert offset.offset_us(20_200) == pytest.approx(1_000_000)
    assert offset.bound_us(20_200) == pytest.approx(100)
    assert offset.host_us(1_000_000, 20_200) == 0


def test_the_bound_covers_drift_and_one_sided_delay() -> None:
    offset = TimeOffset()
    truth_us = 5_000_000
    offset.add(0, truth_us + 9_900, truth_us + 9_900, 10_000)
    assert abs(offset.offset_us(10_000) - truth_us) <= offset.bound_us(10_000)
    later_us = 60_000_000
    drifted_us = truth_us + 0.0002 * (later_us - 10_000)
    assert abs(offset.offset_us(later_us) - drifted_us) <= offset.bound_us(later_us)


def test_an_impossible_exchange_is_ignored() -> None:
    offset = TimeOffset()
    offset.add(100, 0, 0, 50)
    offset.add(0, 10, 5, 100)
    assert not offset.is_known
    assert offset.bound_us(0) == float("inf")
    assert offset.device_us(77) == 77
