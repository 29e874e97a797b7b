#!/usr/bin/env bash
# Unpacks a package of Debian 13 into a folder, without its dependencies, through package lists of its own: the system's lists and packages stay as they
# are. Wants apt, Debian's keyring and x86-64.
#
#   eng/debian-package.sh FOLDER COMPONENT PACKAGE [FILE …]      FILE is a pattern such as '*/bin/ptxas'; all files where none is given
#
# Exit code 4, with the reason: it can't be had here. DEBIAN_MIRROR names a mirror.
set -euo pipefail
folder=$(realpath -m "${1:?a folder}") component=${2:?a component} package=${3:?a package}
shift 3
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

refuse() {
    echo "$package cannot be had: $*" >&2
    exit 4
}

[ "$(uname -m)" = x86_64 ] || refuse "the packages are for x86-64, this is $(uname -m)"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || refuse "there is no apt-get or no dpkg-deb"
[ -e "$keyring" ] || refuse "Debian's keyring $keyring is not there"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$folder"
echo "deb [arch=amd64 signed-by=$keyring] $mirror trixie $component" >"$work/sources.list"
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
Acquire::http::Timeout "20";
CONF
export APT_CONFIG=$work/apt.conf
apt-get -q=2 update >&2 || refuse "the package lists of $mirror could not be read"
(cd "$work" && apt-get -q=2 download "$package" >&2) || refuse "it could not be fetched from $mirror"
dpkg-deb --fsys-tarfile "$work/$package"_*.deb | tar -x -C "$folder" ${1:+--wildcards "$@"} || refuse "it does not hold ${*:-what it should}"
