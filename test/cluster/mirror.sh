# Sets MIRROR to the Debian mirror apt is configured with, unless the caller names one. A new machine has no package lists yet.
debian_mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -1; }
MIRROR=${MIRROR:-$(debian_mirror)}
[ -n "$MIRROR" ] || { apt-get update -qq; MIRROR=$(debian_mirror); }
MIRROR=${MIRROR%/}
[ -n "$MIRROR" ] || { echo "apt knows no Debian mirror: name one in MIRROR" >&2; exit 1; }
