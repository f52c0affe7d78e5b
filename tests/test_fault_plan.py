"""The fault plan: every kind of fault that users of such tools suffer from, and the tests that inject it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PLAN = {
    "F1 refused, no such host, bad certificate": ["commands/test_errors.py::test_failure"],
    "F2 HTTP statuses at the handshake": [
        "protocol/test_recovery.py::test_http_statuses",
        "stream/test_faults_budgets.py::test_retry_after_is_waited_for",
    ],
    "F3 greets and drops": [
        "stream/test_faults_budgets.py::test_an_endpoint_that_greets_and_drops_is_left_after_three"
    ],
    "F4 quota": ["stream/test_faults_budgets.py::test_a_used_up_quota_ends_it_at_once"],
    "F5 close codes": [
        "protocol/test_recovery.py::test_close_codes",
        "stream/test_faults_budgets.py::test_a_close_that_may_pass_is_survived",
        "stream/test_faults_budgets.py::test_a_close_that_cannot_pass_ends_it_at_once",
    ],
    "F6 reset inside a frame": ["stream/test_faults_kills.py::test_kills_at_random_offsets_cost_nothing"],
    "F7 end without a close frame": ["stream/test_recovery_runs.py::test_a_cut_connection_costs_nothing"],
    "F8 black hole": ["stream/test_outages.py::test_an_outage_costs_nothing"],
    "F9 a peer that reads nothing": ["stream/test_stall.py::test_in_flight_was_never_beyond_the_window"],
    "F10 narrow": ["stream/test_faults_network.py::test_bandwidth"],
    "F11 far": ["stream/test_faults_network.py::test_latency"],
    "F12 single bytes, large messages": [
        "stream/test_faults_network.py::test_single_bytes",
        "stream/test_faults_network.py::test_large_messages",
    ],
    "F13 expiry": [
        "stream/test_rollover.py::test_ten_rollovers_are_one_long_session",
        "stream/test_rollover.py::test_an_expiry_that_comes_anyway_is_a_loss_like_any_other",
    ],
    "F14 restarts again and again": [
        "stream/test_faults_budgets.py::test_an_endpoint_that_drops_again_and_again_is_kept_while_there_is_progress"
    ],
    "F15 silence": ["stream/test_faults_protocol.py::test_silence_keeps_a_session_alive"],
    "F16 greetings": [
        "stream/test_faults_protocol.py::test_greetings",
        "commands/test_errors.py::test_failure",
    ],
    "F17 events left out": [
        "stream/test_faults_protocol.py::test_what_is_left_out_or_complained_of",
        "stream/test_faults_finals.py::test_a_final_that_never_comes_is_a_hole_with_its_range",
    ],
    "F18 nonsense": [
        "protocol/test_codec.py::test_decode_never_raises",
        "stream/test_faults_protocol.py::test_nonsense_is_ignored",
    ],
    "F19 finals shuffled, repeated, dropped, failed": [
        "stream/test_faults_finals.py::test_strange_finals_disturb_nobody",
        "stream/test_faults_finals.py::test_a_failed_turn_is_told_and_the_others_go_on",
    ],
    "F20 errors that matter not": [
        "stream/test_faults_protocol.py::test_what_is_left_out_or_complained_of",
        "protocol/test_session.py::test_an_empty_commit_is_benign",
    ],
    "F21 dialects": ["protocol/test_dialects.py::"],
    "F22 signals, sudden death": [
        "commands/test_signals.py::test_signals_at_random_moments",
        "stream/test_spool.py::test_killed_at_random_moments_every_sample_is_delivered_once",
    ],
    "F23 stdout closed, full, slow": [
        "output/test_writer.py::test_a_slow_reader_is_not_felt",
        "output/test_writer.py::test_a_full_disk_is_a_failure",
        "commands/test_standard_streams.py::test_stdout_closed_after_the_first_line",
    ],
    "F24 a loop that is held up": [
        "stream/test_faults_network.py::test_a_held_up_loop_loses_no_connection",
        "audio/test_microphone.py::test_busy_interpreter_loses_nothing",
    ],
    "F25 devices": [
        "audio/test_microphone.py::test_device_lost_and_back",
        "audio/test_capture.py::test_overflow_of_unknown_length_is_counted",
    ],
    "F26 clocks, sleep": [
        "stream/test_machine.py::test_an_hour_on_the_wall_clock_is_no_sleep",
        "stream/test_faults_network.py::test_a_machine_that_slept_connects_anew",
    ],
    "F27 the semaphore": ["stream/test_sender.py::test_ten_thousand_random_schedules_leave_the_sender_as_good_as_new"],
    "F29 hours of sound": ["stream/test_soak.py::test_hours_of_sound_leave_nothing_behind"],
    "F30 an endpoint attacked": [
        "local/test_local_server.py::test_refused_at_the_handshake",
        "local/test_local_server.py::test_sessions_are_bounded",
        "local/test_local_server.py::test_oversize",
    ],
}
NOT_HERE = {
    "F8 for ten minutes": "the longest outage of the tests is a minute",
    "F21 SGLang, vLLM and the like": "only their events are known here, no such server is",
    "F25 permission denied": "macOS asks, Linux does not",
    "F26 a real suspend": "a machine that runs tests cannot be put to sleep; what it would see is told instead",
    "F28 proxies that ask for a password, SOCKS": "the library's, and tested there; loopback goes past them",
    "F29 for a day": "eight hours at several hundred times real time stand for it",
}
"""Faults that are not injected, and why."""


@pytest.mark.parametrize("fault", PLAN)
def test_every_fault_has_a_test(fault: str) -> None:
    """It is where the plan says."""
    for place in PLAN[fault]:
        file, _, name = place.partition("::")
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert re.search(rf"def {name or 'test_'}", text), place


def test_no_fault_is_left_out() -> None:
    """Thirty of them are tested, or it is said why not."""
    numbers = {int(fault.split()[0][1:]) for fault in [*PLAN, *NOT_HERE]}

    assert numbers == set(range(1, 31))
