"""``[output]``: results, status, logs and files."""

from dataclasses import dataclass
from typing import Literal

from rt_cli.settings.declaration import BENCH, CONVERSATION, LISTS, RUN, TALK, setting

OutputFormat = Literal["text", "json", "srt", "vtt"]
CaptionText = Literal["translation", "original"]
StatusMode = Literal["auto", "live", "plain", "off"]


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Results, status, logs and files."""

    format: OutputFormat = setting(
        "text",
        "--format -f FORMAT",
        "{choices} [{default}].",
        doc="Of the results: text, json (NDJSON), srt or vtt (captions).",
        everyday=True,
        changes_result=True,
        commands=RUN | TALK,
    )
    output: str | None = setting(
        None,
        "--output -o FILE|FORMAT",
        "A file, its format by its ending; or a format.",
        doc="A file that gets the results instead of stdout, in the format of its ending.",
        everyday=True,
        only="rt",
    )
    with_filename: bool = setting(
        False,
        "--with-filename",
        "Begin each line of text with its source.",
        doc="Begin each line of text with the name of its source.",
        changes_result=True,
    )
    timestamps: bool = setting(
        False,
        "--timestamps",
        "When each line of text begins.",
        doc="Begin each line of text with the start of its turn: [00:00:01.230]. The other formats always say it.",
        everyday=True,
        changes_result=True,
    )
    save_transcript: str | None = setting(
        None,
        "--save-transcript FILE",
        "Results also here: .txt .srt .vtt .jsonl",
        doc="A file that gets the results, too, each on the disk before the next: .txt, .srt, .vtt, or .json or .jsonl "
        "(NDJSON).",
        auto="none",
        everyday=True,
    )
    save_audio: str | None = setting(
        None,
        "--save-audio FILE",
        "What was captured, as WAV.",
        doc="A WAV file that gets what was captured, at the rate that is sent.",
        auto="none",
        everyday=True,
    )
    record: str | None = setting(
        None,
        "--record FILE",
        "What crosses the wire, for rt replay.",
        doc="A file for a recording of all WebSocket messages.",
        everyday=True,
        only="rt",
        commands=RUN | CONVERSATION,
    )
    record_audio: bool = setting(
        False,
        "--record-audio",
        "With the sound, not only its size.",
        doc="Record the audio, not only its size.",
        only="rt",
        commands=RUN | CONVERSATION,
    )
    translate_captions: CaptionText = setting(
        "translation",
        "--translate-captions WHAT",
        "{choices} [{default}].",
        doc="The words of captions with --translate: the translation, or what was said.",
        changes_result=True,
    )
    translates: bool = False
    """The results are translations; set by the run."""
    output_dir: str | None = setting(
        None,
        "--output-dir DIR",
        "A file of results for each source.",
        doc="A folder that gets a file of results for each source, named after it, instead of stdout.",
        auto="none",
    )
    force: bool = setting(
        False,
        "--force",
        "Files to save may be replaced.",
        doc="save_transcript, save_audio and a recording may replace a file that is there, once there is a new result.",
        commands=BENCH | CONVERSATION,
    )
    partials: bool = setting(
        False,
        "--partials",
        "Also what is not final yet (stderr for text).",
        doc="Show the text of a turn while it is being spoken, too.",
        everyday=True,
    )
    progress_s: float | None = setting(
        None,
        "--progress TIME",
        "A line of NDJSON on the progress, so often.",
        doc="Time between two lines of NDJSON that say how far a source is, for programs that watch it.",
        auto="none",
        low=0.1,
    )
    raw: bool = setting(
        False,
        "--raw",
        "NDJSON of every event of the endpoint, too.",
        doc="Add lines of NDJSON with every event of the endpoint as it came, audio replaced by its size.",
    )
    status: StatusMode = setting(
        "auto",
        "--status HOW",
        "{choices}.",
        doc="What stderr tells of a run. Here auto is a value of its own: live on a terminal, plain beside a stdout "
        "that is a pipe, and in a pipe only warnings and errors.",
        commands=BENCH | CONVERSATION,
    )
    quiet: bool = setting(
        False,
        "--quiet -q",
        "Nothing on stderr but errors.",
        doc="Say nothing but results and errors.",
        commands=BENCH | CONVERSATION | LISTS,
        everyday=True,
    )
    verbose: int = setting(
        0,
        "--verbose -v",
        "The connection on stderr; -vv: the wire, too.",
        doc="Of stderr: 0 says what is wrong, 1 also what the connection and the sender do, 2 also what goes over the "
        "wire.",
        low=0,
        high=2,
        repeated=True,
        everyday=True,
        commands=RUN | CONVERSATION | LISTS,
    )
    log_file: str | None = setting(
        None,
        "--log-file FILE",
        "What -vv says, into a file.",
        doc="A file that gets what -vv says.",
        auto="none",
        commands=RUN | CONVERSATION,
    )
