# Sets MIRROR to the Debian mirror apt is configured with, unless the caller names one.
MIRROR=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -1)}
MIRROR=${MIRROR%/}
[ -n "$MIRROR" ] || { echo "no Debian mirror is known to apt: run apt-get update, or name one in MIRROR" >&2; exit 1; }
