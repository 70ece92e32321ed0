# What both halves of CI share: installing, running steps, counting tests.
#
# `run` and `long` source it.
#
# Owns: folders of the cache, the table of steps, the summary.
# Must not: decide what is tested.

readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/coreml-ci"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
export COREML_CACHE_DIR="${COREML_CACHE_DIR:-$cache/conversions}"
export CARGO_TERM_COLOR=never
export PYTHONDONTWRITEBYTECODE=1
mkdir -p "$cache"

# What the tests print, of all steps; the summary is read off it.
readonly log="$cache/tests.log"
: >"$log"
# The times of the steps, a line each, and the names of those that failed.
steps=()
failed=()

# Runs one step, and notes how long it took. A step that fails ends the run.
step() {
    local name="$1" start=$SECONDS
    shift
    echo "== $name"
    running="$name"
    "$@"
    running=""
    echo "   $name: $((SECONDS - start)) s"
    steps+=("$(printf '%5d s  %s' $((SECONDS - start)) "$name")")
}

# Runs one command of tests, and notes what it says; others run even when it fails.
tests() {
    local status=0
    "$@" 2>&1 | tee -a "$log" || status=$?
    [ "$status" -eq 0 ] || failed+=("${running:-tests}: $*")
}

# Prints the reason of each test that was skipped, the table of steps, and the summary as the last
# line. Tests that are only started by other tests count as part of those.
finish() {
    local status=$? skips
    [ -z "${running:-}" ] || failed+=("$running")
    skips="$(sed -nE -e '/ \.\.\. ignored, started by /d' \
        -e 's/^test (.*) \.\.\. ignored(, )?/\1: /p' -e 's/^SKIPPED \[([0-9]+)\] /\1 × /p' "$log")"
    [ -z "$skips" ] || printf '\nSkipped:\n%s\n' "$(sed 's/^/    /' <<<"$skips")"
    printf '\nSteps, %d s in all:\n' "$SECONDS"
    printf '    %s\n' "${steps[@]}"
    [ ${#failed[@]} -eq 0 ] || printf '\nFailed: %s\n' "${failed[@]}"
    [ "$status" -ne 0 ] || [ ${#failed[@]} -eq 0 ] || status=1
    awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
         / \.\.\. ignored, started by / { skipped -= 1 }
         # The last line of pytest: `551 passed, 2 skipped in 60.00s`.
         / in [0-9.]+s( \([0-9:]+\))?$/ && /passed|failed|error|skipped/ {
             for (field = 1; field < NF; field++) {
                 if ($(field + 1) ~ /^passed/) passed += $field
                 if ($(field + 1) ~ /^(failed|errors?)/) failed += $field
                 if ($(field + 1) ~ /^skipped/) skipped += $field
             }
         }
         END { printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$log"
    exit "$status"
}
trap finish EXIT

# Installs packages of Debian where a command or file of theirs is missing:
# `debian COMMAND-OR-FILE PACKAGE...`.
debian() {
    local wanted="$1"
    shift
    if command -v "$wanted" >/dev/null || [ -e "$wanted" ]; then return; fi
    if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
        echo "please install: $*" >&2
        return 1
    fi
    [ -n "${updated:-}" ] || apt-get update -q
    updated=yes
    # RUNLEVEL: what is installed is not started.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$@"
}

# Installs what a bare Debian lacks: a linker for cargo, and the venv module that it packs apart
# from python3.
system_packages() {
    debian cc gcc libc6-dev
    debian python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian /nonexistent python3-venv
}

# Installs what single tests need besides: a web server for the remote cache, a browser for the
# page of the report.
test_programs() {
    debian bash bash
    debian git git
    debian openssl openssl
    debian /usr/sbin/nginx nginx-light
    debian chromium chromium
}

# Makes an environment of some packages, and links it as "$cache/NAME".
environment() {
    local name="$1" requirements="$2" wanted
    wanted="$cache/$name-$(sha256sum "$requirements" | cut -c1-16)"
    if [ ! -e "$wanted/ready" ]; then
        rm -rf "$wanted"
        python3 -m venv "$wanted"
        "$wanted/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
        touch "$wanted/ready"
    fi
    ln -sfn "$wanted" "$cache/$name"
}

# Installs ruff and pytest; apart from them what speaks ONNX, since the driver's tests must not see
# its numpy; and a server that speaks S3.
python_tools() {
    environment python-tools .ci/requirements.txt
    environment onnx-tools .ci/requirements-onnx.txt
    environment s3-server .ci/requirements-s3.txt
}

# Tells the tests what was installed for them: one that needs it fails where it is not there.
announce() {
    local packages=("$cache"/onnx-tools/lib/python3.*/site-packages)
    COREML_TEST_INSTALLED="bash chromium git nginx onnx onnxruntime openssl python3 s3"
    export COREML_TEST_INSTALLED+=" timm transformers whisper"
    export COREML_TEST_S3_PYTHON="$cache/s3-server/bin/python"
    export COREML_ONNX_PYTHON="$cache/onnx-tools/bin/python"
    ORT_DYLIB_PATH="$(compgen -G "${packages[0]}/onnxruntime/capi/libonnxruntime.so*" | head -1)"
    export ORT_DYLIB_PATH
    # The library transformers, for a crate whose model comes from a hub.
    export COREML_TEST_TRANSFORMERS_PATH="$cache/driver-tools"
    # OpenAI's tokens, for the vocabulary of its sizes.
    export COREML_TEST_WHISPER_RANKS="$cache/driver-tools/whisper/assets/multilingual.tiktoken"
}

# Installs the Python that builds convert with, and what a few of the driver's tests need besides:
# in a folder that has nothing of it, which is linked as "$cache/driver-tools".
conversion_python() {
    local requirements=.ci/requirements-driver.txt version wanted
    python="$(cargo run --quiet -p coreml-tests --example python)"
    version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    wanted="$cache/driver-tools-$version-$(sha256sum "$requirements" | cut -c1-16)"
    if [ ! -e "$wanted/ready" ]; then
        rm -rf "$wanted"
        "$cache/python-tools/bin/python" -m pip --python "$python" install --quiet \
            --disable-pip-version-check --no-deps --target "$wanted" -r "$requirements"
        touch "$wanted/ready"
    fi
    ln -sfn "$wanted" "$cache/driver-tools"
}

# Runs pytest in the environment that the builds convert in: the tools are added, not its packages
# again.
driver_pytest() {
    local tools
    tools="$(echo "$cache"/python-tools/lib/python3.*/site-packages)"
    tests env PYTHONPATH="$tools:$cache/driver-tools" OMP_NUM_THREADS=1 \
        COREML_TEST_KMEANS=1 COREML_TEST_TRANSFORMERS=1 \
        "$python" -m pytest -rs -p no:cacheprovider "$@"
}
