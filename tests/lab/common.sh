# Sourced by the lab's scripts: becomes root, says where the images are.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
export SEAWORTHY_LAB=${SEAWORTHY_LAB:-${XDG_CACHE_HOME:-$HOME/.cache}/seaworthy-lab}
# mounts, namespaces and debootstrap's chroot are root's
((EUID == 0)) || exec sudo SEAWORTHY_LAB="$SEAWORTHY_LAB" TMPDIR="${TMPDIR:-/tmp}" "$0" "$@"
PATH=$PATH:/usr/sbin:/sbin
lab=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# a changed recipe is another image, so an old one is never taken for it
images=$SEAWORTHY_LAB/$(cat "$lab"/build "$lab"/inside/* | sha256sum | cut -c1-12)

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# need SUITE: the suite's images exist
need() {
  [[ -d $images/$1 ]] || fail "$1: no images in $images; build them with tests/lab/build $1"
}

# when_gone PID SCRIPT STATE: throws a machine away once the process that wanted it is gone, however it went
when_gone() {
  # shellcheck disable=SC2016
  setsid bash -c 'tail --pid="$1" -f /dev/null; exec "$0" stop "$2"' "$2" "$1" "$3" </dev/null >/dev/null 2>&1 &
  echo $! >"$3/watcher"
}

# unwatch STATE: ends what when_gone started, unless it is what is ending the machine
unwatch() {
  local watcher
  watcher=$(cat "$1/watcher" 2>/dev/null || true)
  if [[ -n $watcher && $watcher != "$$" ]] && grep -qsF "$1" "/proc/$watcher/cmdline"; then kill -- "-$watcher"; fi
}
