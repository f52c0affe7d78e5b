"""Names that people type and ``rt`` does not have, each with what to type."""

from __future__ import annotations

COMMANDS = {
    **dict.fromkeys(("listen", "mic", "microphone", "dictate", "live", "speak"), "rt stream --mic"),
    **dict.fromkeys(("record", "rec", "capture"), "rt stream --mic --save-audio out.wav"),
    **dict.fromkeys(("transcribe", "stt", "file", "upload", "recognize", "recognise", "translate"), "rt send {rest}"),
    **dict.fromkeys(
        ("caption", "captions", "subtitle", "subtitles"), "rt stream --mic -f vtt, or rt send -o out.vtt {rest}"
    ),
    **dict.fromkeys(("server", "daemon", "listener"), "rt serve"),
    **dict.fromkeys(("list-devices", "microphones", "mics", "inputs"), "rt devices"),
    **dict.fromkeys(("check", "test", "diagnose", "status", "info"), "rt doctor"),
    **dict.fromkeys(("auth", "key", "keys", "signin"), "rt login"),
    **dict.fromkeys(("settings", "configure", "setup", "profile", "profiles"), "rt config show, or rt config edit"),
    **dict.fromkeys(("man", "manual"), "rt help --man | man -l -"),
    **dict.fromkeys(("completions", "install-completion"), "rt completion SHELL"),
    **dict.fromkeys(("benchmark", "load", "loadtest"), "rt bench"),
    **dict.fromkeys(("update", "upgrade", "self-update"), "uv tool upgrade rt-cli"),
}
"""What to type in place of a command. ``{rest}``: the other words."""

SUBCOMMANDS = {
    "rt config": {
        **dict.fromkeys(("set", "unset", "add"), "rt config edit, or RT_KEY=VALUE"),
        **dict.fromkeys(("list", "ls", "print", "cat"), "rt config show"),
        **dict.fromkeys(("create", "new"), "rt config init"),
        "open": "rt config edit",
        "where": "rt config path",
    },
}
"""What to type in place of a command of a command."""

_KEYS = ("--key", "--api-key", "--apikey", "--token", "--openai-api-key", "--bearer")
_NO_KEYS = (
    "no key is given as an option, since all users see it: export RT_API_KEY=..., --api-key-file FILE, or rt login"
)

OPTIONS = {
    **dict.fromkeys(_KEYS, _NO_KEYS),
    **dict.fromkeys(("--endpoint", "--server", "--base-url", "--api-base", "--provider", "--uri"), "--url URL"),
    **dict.fromkeys(("--host", "--port", "--address"), "--url ws://HOST:PORT"),
    **dict.fromkeys(("--input-device", "--microphone", "--mic-device"), "--device NAME; rt devices lists them"),
    **dict.fromkeys(("--list-devices", "--devices"), "rt devices"),
    **dict.fromkeys(("--debug", "--trace", "--log-level"), "-v, or --log-file FILE"),
    **dict.fromkeys(("--silent", "--no-status"), "-q"),
    **dict.fromkeys(("--no-color", "--no-colour", "--color", "--colour"), "NO_COLOR=1, or FORCE_COLOR=1"),
    **dict.fromkeys(("--no-progress", "--no-live"), "--status plain, or --status off"),
    **dict.fromkeys(("--timeout", "--max-time"), "--connect-timeout TIME, or --drain-timeout TIME"),
    **dict.fromkeys(("--retries", "--retry", "--max-retries", "--reconnect"), "--retry-for TIME"),
    **dict.fromkeys(("--ss", "--seek", "--offset", "--audio-start", "--from"), "--start TIME"),
    **dict.fromkeys(("--end", "--to", "--until", "--length"), "-t TIME, the length from --start on"),
    **dict.fromkeys(("--realtime", "--real-time", "--re"), "--speed 1"),
    **dict.fromkeys(("--fast", "--no-realtime"), "--speed max"),
    **dict.fromkeys(("--split", "--stereo", "--multichannel"), "--channel split"),
    **dict.fromkeys(("--mono", "--left", "--right"), "--channel mix, left or right"),
    **dict.fromkeys(
        ("--word-timestamps", "--words", "--word-times"),
        "--timestamps: an endpoint gives no times of words, only of turns",
    ),
    **dict.fromkeys(("--dry-run", "--check"), "rt config show, which says what counts, or rt doctor, whether it works"),
    **dict.fromkeys(("--srt",), "-f srt, or -o FILE.srt"),
    **dict.fromkeys(("--vtt", "--webvtt"), "-f vtt, or -o FILE.vtt"),
    **dict.fromkeys(("--text", "--txt", "--plain"), "-f text, or -o FILE.txt"),
    **dict.fromkeys(("--ndjson", "--jsonl"), "--json, or -o FILE.jsonl"),
    **dict.fromkeys(("--out", "--output-file", "--outfile", "--out-file"), "-o FILE"),
    **dict.fromkeys(("--out-dir", "--outdir", "--dir", "--output-folder"), "--output-dir DIR"),
    **dict.fromkeys(("--locale", "--languages"), "--lang CODE"),
    **dict.fromkeys(("--recursive", "-r", "-R"), "find DIR -name '*.wav' -print0 | rt send --files-from - --null"),
    **dict.fromkeys(("--parallel", "--threads", "--concurrency", "--batch"), "-j N"),
    **dict.fromkeys(("--rate", "--sr", "--samplerate"), "--sample-rate HZ"),
    **dict.fromkeys(("--volume", "--amplify"), "--gain DB"),
    **dict.fromkeys(("--overwrite", "--yes", "-y"), "--force"),
    **dict.fromkeys(("--keyword", "--keywords", "--keyterms", "--vocabulary", "--word-boost"), "--keyterm TEXT"),
    **dict.fromkeys(("--filename", "--print-filename"), "--with-filename"),
    **dict.fromkeys(("--microphone-level", "--level"), "rt doctor"),
}
"""What to type in place of an option, of any command."""

OF_COMMAND = {
    "rt stream": {
        "-i": "--device NAME; rt devices lists them",
        "--input": "--device NAME",
        "--start": "-t TIME; a live source begins now",
    },
    "rt send": {
        "-i": "rt send FILE, without an option",
        "--input": "rt send FILE, without an option",
        "--mic": "rt stream --mic",
        "--device": "rt stream --device NAME",
        "-d": "rt stream --device NAME",
    },
    "rt serve": {
        **dict.fromkeys(("-p", "--listen", "--bind", "--address"), "--port N, and --host ADDRESS"),
        "--token": "--token-file FILE, or RT_SERVE_TOKEN",
        "--model": "--recognizer NAME, or --recognizer-model NAME",
        "-m": "--recognizer NAME, or --recognizer-model NAME",
    },
}
"""What to type in place of an option of one command, or where else an option belongs."""
