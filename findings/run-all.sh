#!/usr/bin/env bash
# Run all findings and print one line for each.
set -u
cd "$(dirname "$0")"
failed=0
for script in *.sh; do
    case $script in common.sh | run-all.sh) continue ;; esac
    output=$(bash "$script" 2>&1)
    case $? in
        0) echo "as described  $script" ;;
        77) echo "not tried     $script: ${output##*$'\n'}" ;;
        *)
            echo "CHANGED       $script"
            echo "$output"
            failed=1
            ;;
    esac
done
exit $failed
