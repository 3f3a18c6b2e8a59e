#!/bin/sh
# need.sh COMMAND=PACKAGE …: install the Debian packages whose command (or, for a name with a slash, file) is missing,
# and say which. Anything else than apt, or no way to become root, ends with the list of what to install by hand.
set -eu
missing=""
for pair in "$@"; do
	command=${pair%%=*} package=${pair#*=}
	case $command in
	*/*) [ -e "$command" ] || missing="$missing $package" ;;
	*) command -v "$command" >/dev/null 2>&1 || missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "tutti needs these, please install them with your package manager:$missing" >&2
	exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "tutti needs these, please run as root: apt-get install$missing" >&2
		exit 1
	fi
	as_root="sudo"
fi
echo "installing Debian packages:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for step in "update -qq" "install -qq -y --no-install-recommends$missing"; do
	# shellcheck disable=SC2086 # the words are meant to be split
	if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get $step >"$log" 2>&1; then
		cat "$log" >&2
		echo "apt-get $step failed (see above)" >&2
		exit 1
	fi
done
