#!/usr/bin/env bash
# Installs the programs that are missing from Debian's packages, as far as this machine lets us, and names them.
# Arguments: program:package.
set -euo pipefail
missing=()
for program in "$@"; do
    command -v "${program%%:*}" >/dev/null || missing+=("${program##*:}")
done
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "${missing[@]}"; } >/dev/null ||
        echo "could not install ${missing[*]}: what needs them says so"
fi
echo "missing before: ${missing[*]:-none}"
