#!/usr/bin/env bash
# Puts NVIDIA's assembler 12.4, with cuobjdump and nvdisasm, into a folder: from Debian 13's package nvidia-cuda-toolkit (12.4 is the first of Debian's
# that knows sm_90a), with package lists of its own. The system's lists and packages stay as they are. Wants apt, Debian's keyring and x86-64.
#
#   eng/install-ptxas.sh FOLDER
#
# The last line printed is the assembler's path. Exit code 4, with the reason: it can't be had here. DEBIAN_MIRROR names a mirror.
set -euo pipefail
folder=$(realpath -m "${1:?a folder}")
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
package=nvidia-cuda-toolkit

refuse() {
    echo "ptxas cannot be had: $*" >&2
    exit 4
}

if [ ! -x "$folder/ptxas" ]; then
    [ "$(uname -m)" = x86_64 ] || refuse "the package is for x86-64, this is $(uname -m)"
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || refuse "there is no apt-get or no dpkg-deb"
    [ -e "$keyring" ] || refuse "Debian's keyring $keyring is not there"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$folder"
    echo "deb [arch=amd64 signed-by=$keyring] $mirror trixie non-free" >"$work/sources.list"
    : >"$work/status"
    cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "$work/lists";
Dir::State::status "$work/status";
Dir::Cache "$work/cache";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
CONF
    export APT_CONFIG=$work/apt.conf
    apt-get -q=2 update >&2 || refuse "the package lists of $mirror could not be read"
    (cd "$work" && apt-get -q=2 download "$package" >&2) || refuse "$package could not be fetched from $mirror"
    dpkg-deb --fsys-tarfile "$work/$package"_*.deb | tar -x -C "$work" --wildcards '*/bin/ptxas' '*/bin/cuobjdump' '*/bin/nvdisasm' ||
        refuse "the package does not hold what it should"
    find "$work/usr" -type f -path '*/bin/*' -exec mv -t "$folder" {} +
    [ -x "$folder/ptxas" ] || refuse "the package holds no ptxas"
fi
"$folder/ptxas" --version >/dev/null 2>&1 || refuse "it does not run here"
echo "$folder/ptxas"
