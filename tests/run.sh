#!/bin/sh
# Everything the tests need, and the tests. Arguments go to pytest: sh tests/run.sh -m long
# PYTHON names the interpreter (3.11 or later); VENV the virtual environment, made where it is missing.
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || { echo "tests/run.sh: no Python 3.11 or later found: set PYTHON" >&2; exit 1; }

# The microphone tests want PortAudio and a sound server, the recipes jq, one of the live view
# tmux. Where these can't be installed, those tests skip and say why.
if command -v apt-get >/dev/null; then
    missing=
    for package in libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins jq tmux; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        as_root=
        [ "$(id -u)" -eq 0 ] || as_root="sudo -n"
        if [ -z "$as_root" ] || sudo -n true 2>/dev/null; then
            echo "installing$missing"
            # shellcheck disable=SC2086 # words are what is wanted
            { $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
                $as_root apt-get install -qq -y --no-install-recommends $missing; } >/dev/null ||
                echo "could not install$missing: tests will skip" >&2
        fi
    fi
fi

venv=${VENV:-.venv}
# Debian without python3-venv leaves an environment without pip behind.
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable '.[test]'
run() { "$venv/bin/python" -m pytest --cov "$@"; }

if [ $# -gt 0 ]; then
    run --cov-report=term "$@"
    exit
fi
# Twice as many processes as processors; then what needs the machine for itself.
workers=$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) * 2))
failed=0
run --cov-report= -n "$workers" -m "not long and not microphone and not alone" || failed=$?
run --cov-append --cov-report=term -m "not long and (microphone or alone)" || failed=$?
exit "$failed"
