"""The fault plan: the faults that users of such tools meet, and the tests that inject them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PLAN = {
    "F1 refused, no such host, bad certificate": [
        "commands/test_errors.py::test_failure",
        "doctor/test_network.py::test_not_reached",
        "doctor/test_network.py::test_no_such_host",
        "doctor/test_network.py::test_untrusted_certificate",
        "commands/test_ways.py::test_missing_client_certificate",
    ],
    "F2 HTTP statuses at the handshake": [
        "protocol/test_error_policy.py::test_http_statuses",
        "streaming/test_faults_budgets.py::test_retry_after_is_waited_for",
    ],
    "F3 greets and drops": [
        "streaming/test_faults_budgets.py::test_an_endpoint_that_greets_and_drops_is_left_after_three",
        "streaming/delivery/test_backoff.py::test_three_fruitless_connections_in_a_row_are_enough",
    ],
    "F4 quota": [
        "streaming/test_faults_budgets.py::test_a_used_up_quota_ends_it_at_once",
        "commands/test_serve_faults.py::test_permanent_fault_ends_the_run",
    ],
    "F5 close codes": [
        "protocol/test_error_policy.py::test_close_codes",
        "streaming/test_faults_budgets.py::test_a_close_that_may_pass_is_survived",
        "streaming/test_faults_budgets.py::test_a_close_that_cannot_pass_ends_it_at_once",
        "server/faults/test_inject.py::test_closes",
    ],
    "F6 reset inside a frame": [
        "streaming/test_faults_kills.py::test_kills_at_random_offsets_cost_nothing",
        "streaming/test_faults_kills.py::test_kills_cost_a_live_source_nothing_either",
    ],
    "F7 end without a close frame": ["streaming/test_recovery_runs.py::test_a_cut_connection_costs_nothing"],
    "F8 black hole": [
        "streaming/test_outages.py::test_an_outage_costs_nothing",
        "streaming/test_stall.py::test_stall_is_said_in_time",
    ],
    "F9 a peer that reads nothing": [
        "streaming/test_stall.py::test_in_flight_was_never_beyond_the_window",
        "streaming/delivery/test_sender.py::test_unacknowledged_audio_never_exceeds_the_window",
        "streaming/transport/test_connection.py::test_close_does_not_wait_for_a_peer_that_reads_nothing",
    ],
    "F10 narrow": ["streaming/test_faults_network.py::test_bandwidth"],
    "F11 far": ["streaming/test_faults_network.py::test_latency"],
    "F12 single bytes, large messages": [
        "streaming/test_faults_network.py::test_single_bytes",
        "streaming/test_faults_network.py::test_large_messages",
    ],
    "F13 expiry": [
        "streaming/test_rollover.py::test_rollovers_are_one_long_session",
        "streaming/test_rollover.py::test_an_expiry_that_comes_anyway_is_a_loss_like_any_other",
        "streaming/test_rollover.py::test_sessions_too_short_for_any_turn_end_the_run",
        "server/faults/test_inject.py::test_an_announced_expiry",
    ],
    "F14 restarts again and again": [
        "streaming/test_faults_budgets.py::test_an_endpoint_that_drops_again_and_again_is_kept_while_there_is_progress",
        "streaming/delivery/test_backoff.py::test_delays_double_up_to_eight_seconds",
    ],
    "F15 silence": [
        "streaming/test_faults_protocol.py::test_silence_keeps_a_session_alive",
        "commands/test_keys_microphone.py::test_mute_and_quit",
    ],
    "F16 greetings": [
        "streaming/test_faults_protocol.py::test_greetings",
        "commands/test_errors.py::test_failure",
    ],
    "F17 events left out": [
        "streaming/test_faults_protocol.py::test_what_is_left_out_or_complained_of",
        "streaming/test_faults_finals.py::test_a_final_that_never_comes_is_a_hole_with_its_range",
    ],
    "F18 nonsense": [
        "protocol/openai/test_codec.py::test_decode_never_raises",
        "streaming/test_faults_protocol.py::test_nonsense_is_ignored",
        "streaming/test_faults_protocol.py::test_text_that_is_no_utf_8_ends_the_session_and_not_the_run",
        "server/test_fuzz.py::test_a_hundred_thousand_frames",
    ],
    "F19 finals shuffled, repeated, dropped, failed": [
        "streaming/test_faults_finals.py::test_strange_finals_disturb_nobody",
        "streaming/test_faults_finals.py::test_a_failed_turn_is_told_and_the_others_go_on",
    ],
    "F20 errors that matter not": [
        "streaming/test_faults_protocol.py::test_what_is_left_out_or_complained_of",
        "protocol/session/test_session.py::test_an_empty_commit_is_benign",
    ],
    "F21 dialects": [
        "protocol/dialects/test_dialects.py::",
        "streaming/test_streamer.py::test_endpoints_that_tell_less_lose_nothing_either",
    ],
    "F22 signals, sudden death": [
        "commands/test_signals.py::test_signals_at_random_moments",
        "streaming/test_spool.py::test_killed_at_random_moments_every_sample_is_delivered_once",
        "commands/test_saved.py::test_kill_9_leaves_whole_files",
        "commands/test_record_and_replay.py::test_kill_9_leaves_a_valid_recording",
    ],
    "F23 stdout closed, full, slow": [
        "output/test_line_writer.py::test_a_slow_reader_is_not_felt",
        "output/test_line_writer.py::test_a_full_disk_is_a_failure",
        "commands/test_standard_streams.py::test_stdout_closed_after_the_first_line",
        "output/status/test_live.py::test_a_stopped_terminal_is_not_felt",
        "commands/test_saved.py::test_a_full_disk_ends_no_run",
        "streaming/capture/test_audio_recorder.py::test_a_slow_disk_does_not_fill_the_memory",
        "streaming/transport/test_wire_recorder.py::test_a_slow_disk_is_not_waited_for",
    ],
    "F24 a loop that is held up": [
        "streaming/test_faults_network.py::test_a_held_up_loop_loses_no_connection",
        "audio/microphone/test_portaudio_stream.py::test_busy_interpreter_loses_nothing",
        "streaming/timing/test_suspend.py::test_a_blocked_loop_is_measured",
    ],
    "F25 devices": [
        "audio/microphone/test_portaudio_stream.py::test_device_lost_and_back",
        "audio/microphone/test_portaudio_stream.py::test_silent_driver",
        "audio/microphone/test_portaudio_stream.py::test_server_that_never_answers",
        "audio/microphone/test_device_buffer.py::test_overflow_of_unknown_length_is_counted",
        "audio/microphone/test_input_health.py::test_warnings",
        "audio/microphone/test_reconnecting.py::test_gap_is_exact",
        "commands/test_stream_microphone.py::test_never_another_microphone",
        "commands/test_stream_recorders.py::test_outage",
    ],
    "F26 clocks, sleep": [
        "streaming/timing/test_suspend.py::test_an_hour_on_the_wall_clock_is_no_sleep",
        "streaming/test_faults_network.py::test_a_machine_that_slept_connects_anew",
    ],
    "F27 the semaphore": [
        "streaming/delivery/test_sender.py::test_ten_thousand_random_schedules_leave_the_sender_as_good_as_new",
        "streaming/delivery/test_sender.py::test_planted_faults_are_found",
        "streaming/delivery/test_sender.py::test_over_release_raises",
    ],
    "F28 proxies": [
        "commands/test_ways.py::test_an_http_proxy_leads_to_the_endpoint",
        "commands/test_ways.py::test_a_socks_proxy_leads_to_the_endpoint",
        "commands/test_ways.py::test_the_proxy_of_the_environment",
        "commands/test_ways.py::test_this_machine_needs_no_proxy",
        "commands/test_ways.py::test_broken_proxies",
        "commands/test_ways.py::test_a_proxy_that_asks_for_a_password",
    ],
    "F29 hours of sound": [
        "streaming/test_soak.py::test_hours_of_sound_leave_nothing_behind",
        "streaming/test_memory.py::test_memory_does_not_grow",
    ],
    "F30 an endpoint attacked": [
        "server/test_tls.py::test_half_open_tls_counts_as_a_handshake",
        "server/test_tls.py::test_slow_loris_over_tls",
        *(
            f"server/test_attacks.py::{name}"
            for name in (
                "test_foreign_origin",
                "test_another_site_under_a_name_that_leads_here",
                "test_without_the_token",
                "test_a_thousand_connections",
                "test_a_thousand_sessions",
                "test_slow_loris",
                "test_malformed_requests",
                "test_huge_append",
                "test_huge_append_in_fragments",
                "test_hostile_messages",
                "test_a_client_that_never_reads",
                "test_clients_that_vanish",
                "test_audio_without_end",
            )
        ),
    ],
}
NOT_HERE = {
    "F8 for ten minutes": "the longest outage of the tests is a minute",
    "F21 SGLang, vLLM and the like": "only their events are known here, no such server is",
    "F25 permission denied": "macOS asks, Linux does not",
    "F26 a real suspend": "a machine that runs tests cannot be put to sleep; what it would see is told instead",
    "F29 for a day": "eight hours at several hundred times real time stand for it",
}
"""Faults that are not injected, and why."""


@pytest.mark.parametrize("fault", PLAN)
def test_every_fault_has_a_test(fault: str) -> None:
    """Each test of the plan exists."""
    for place in PLAN[fault]:
        file, _, name = place.partition("::")
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert re.search(rf"def {name}\(" if name else "def test_", text), place


def test_no_fault_is_left_out() -> None:
    """Each of the thirty faults has a test or a reason for none."""
    numbers = {int(fault.split()[0][1:]) for fault in [*PLAN, *NOT_HERE]}

    assert numbers == set(range(1, 31))
