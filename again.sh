#!/bin/bash
# again.sh LOG PACKAGES FLAGS …: go test with these flags over these packages. A test that fails is run once more by
# itself, since suites with real players and real time share the machine with whatever else it does; one that passes only
# then is named as unsteady, which is a defect. Data races, panics, time-outs and what does not compile are not tried again.
set -o pipefail
log=$1 packages=$2
shift 2
mkdir -p "$(dirname "$log")"
go test "$@" $packages 2>&1 | tee "$log" && exit 0

# What failed is said once more at the end, after all that servers had to say.
failed() {
	echo
	echo "failed:"
	grep -aE -A8 '^ *--- FAIL|^ *[a-z_]+_test\.go:[0-9]+: |^panic:|DATA RACE|build failed' "$log" | grep -av '"level"' | cut -c1-500 | tail -60
	exit 1
}
if grep -qaE '^panic:|DATA RACE|^FAIL.*\[(build|setup) failed\]|^fatal error:' "$log"; then failed; fi
tests=$(grep -aoE '^--- FAIL: (Test|Fuzz|Example)[A-Za-z0-9_]+' "$log" | awk '{print $3}' | sort -u | paste -sd'|')
where=$(grep -aE '^FAIL[[:space:]]+[^[:space:]]+[[:space:]]+[0-9.]+s$' "$log" | awk '{print $2}' | sort -u)
if [ -z "$tests" ] || [ -z "$where" ] || [ "$(tr '|' '\n' <<<"$tests" | wc -l)" -gt 4 ]; then failed; fi
echo
echo "once more: $tests in" $where
go test "$@" -count=1 -run "^($tests)\$" $where 2>&1 | tee "$log" || failed
echo "unsteady: $tests in" $where
