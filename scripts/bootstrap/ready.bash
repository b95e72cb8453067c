# SPDX-License-Identifier: Apache-2.0
# Sourced by scripts/demo and scripts/test: takes --yes out of their arguments, sets up, and uses what was set up.
arguments=() yes=()
for argument in "$@"; do
  if [ "$argument" = --yes ]; then yes=(--yes); else arguments+=("$argument"); fi
done
set -- "${arguments[@]}"
# shellcheck disable=SC2154  # the folder scripts is set by them
"$scripts/setup" "${yes[@]}"
. "$scripts/environment.bash"
