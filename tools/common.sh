# SPDX-License-Identifier: MIT
#
# What the scripts in tools/ share: messages, the machine's Debian mirror, installing
# the packages that tools/packages names, building. Sourced, never run; needs $tools.
# Shell as Debian's policy has it: POSIX and "local".

# The scripts' own names, so that a message says who speaks.
me=${0##*/}

say()  { printf '%s: %s\n' "$me" "$*" >&2; }
die()  { say "$*"; exit 99; }           # 99: the harness failed, not a kernel
have() { command -v "$1" >/dev/null 2>&1; }

# sudo asks for a password only where someone can answer.
sudo_opt=-n
[ -t 0 ] && sudo_opt=

# as_root COMMAND...: run it as root, through sudo where we are not root.
as_root()
{
    if [ "$(id -u)" = 0 ]; then "$@"
    elif have sudo; then sudo $sudo_opt -- "$@"
    else say "'$*' needs root, and there is no sudo"; return 1
    fi
}

# Print the mirror that this machine's own apt uses for Debian. No host is written
# in this project: VKZOO_MIRROR, or whatever the machine is configured with.
debian_mirror()
{
    local uri
    if [ -n "${VKZOO_MIRROR:-}" ]; then printf '%s\n' "$VKZOO_MIRROR"; return; fi
    have apt-get || {
        say "no apt here; give a Debian mirror in VKZOO_MIRROR"
        return 1
    }
    # apt itself reads sources.list and deb822 for us, with or without lists fetched.
    # Security and third-party archives are known by their suite or path.
    uri=$(apt-get --print-uris update 2>/dev/null |
        sed -n "s,^'\(.*\)/dists/\([^/']*\)/InRelease'.*,\1 \2,p" |
        awk -v own="$(. /etc/os-release; echo "${VERSION_CODENAME:-}")" '
            $1 ~ /security/ { next }
            $2 == own || $2 ~ /^(stable|testing|unstable|sid|trixie|forky|bookworm)$/ {
                if ($1 ~ /\/debian\/?$/) { print $1; found = 1; exit }
                if (!first) first = $1
            }
            END { if (!found && first) print first }')
    case $uri in
        mirror+file:*) # the first of the list
            uri=$(awk 'NF && !/^#/ { print $1; exit }' "${uri#mirror+file:}") ;;
    esac
    [ -n "$uri" ] || {
        say "apt here names no Debian mirror; give one in VKZOO_MIRROR"
        return 1
    }
    printf '%s\n' "${uri%/}"
}

# The machine's apt settings that a private apt or a new root needs too, as
# apt.conf lines: proxies, and whether expired lists are fine (snapshots).
apt_settings()
{
    apt-config dump 2>/dev/null |
        grep -iE '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date)[ :]' || true
}

# packages GROUP...: the names that tools/packages lists under these groups.
packages()
{
    local group
    for group in "$@"; do
        awk -v g="$group" '$1 == g { for (i = 2; i <= NF && $i !~ /^#/; i++) print $i }' \
            "$tools/packages"
    done
}

# install_missing GROUP...: install what is not there yet, and say what.
install_missing()
{
    local p missing log
    have dpkg-query || {
        say "not a Debian machine; install what is missing of: $(packages "$@" | xargs)"
        return 0
    }
    missing=
    for p in $(packages "$@"); do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q ' installed$' ||
            missing="$missing $p"
    done
    [ -n "$missing" ] || return 0
    say "installing:$missing"
    # One quiet try with the lists as they are, then one with new lists.
    log=$(mktemp)
    apt_install $missing >"$log" 2>&1 || {
        as_root apt-get -q update >"$log" 2>&1 && apt_install $missing >>"$log" 2>&1
    } || {
        tail -n 20 "$log" >&2; rm -f "$log"
        say "could not install:$missing"
        return 1
    }
    rm -f "$log"
}

apt_install()
{
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "$@" </dev/null
}

# Does the loader find a driver's description anywhere?
any_driver()
{
    local d f
    [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || return 0
    for d in /etc /usr/share /usr/local/share "${XDG_DATA_HOME:-${HOME:-}/.local/share}"; do
        for f in "$d"/vulkan/icd.d/*.json; do
            if [ -e "$f" ]; then return 0; fi
        done
    done
    return 1
}

# build DIR SETUP-OPTION...: set DIR up if it is not, and compile. Silent when all is
# well; what Meson or the compiler said when it is not.
build()
{
    local dir="$1" log
    shift
    log=$(mktemp)
    if [ ! -f "$dir/build.ninja" ]; then
        say "setting up $dir"
        meson setup "$dir" "$@" >"$log" 2>&1 || {
            tail -n 40 "$log" >&2; rm -f "$log"
            say "meson setup $dir failed"
            return 1
        }
    fi
    say "compiling in $dir"
    meson compile -C "$dir" >"$log" 2>&1 || {
        grep -vE '^\[[0-9]+/[0-9]+\] |^(INFO|ninja): ' "$log" | head -n 100 >&2
        rm -f "$log"
        say "compiling in $dir failed"
        return 1
    }
    rm -f "$log"
}
