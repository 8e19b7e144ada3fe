#!/bin/sh
# Starts the server in a container: on every address, since a container's loopback is nobody's, and
# therefore only with a password. Words after the image's name go to `tresor serve`, or are another
# subcommand of tresor.
set -eu

# An empty variable is one that was not set.
[ -n "${TRESOR_PASSWORD:-}" ] || unset TRESOR_PASSWORD
[ -n "${TRESOR_PASSWORD_FILE:-}" ] || unset TRESOR_PASSWORD_FILE

case "${1:-serve}" in
    serve) [ $# -eq 0 ] || shift ;;
    -*) ;;
    *) exec tresor "$@" ;;
esac

case "${TRESOR_INSECURE_NO_AUTH:-}" in
    1 | true | yes | on) open=yes ;;
    *) open=no ;;
esac
if [ -z "${TRESOR_PASSWORD:-}${TRESOR_PASSWORD_FILE:-}" ] && [ "$open" = no ]; then
    echo "tresor: a container listens on every address and needs a password: set TRESOR_PASSWORD or" \
        "TRESOR_PASSWORD_FILE, or TRESOR_INSECURE_NO_AUTH=1 if everyone who can reach it may read and" \
        "change everything" >&2
    exit 2
fi

export TRESOR_BIND="${TRESOR_BIND:-0.0.0.0}"
exec tresor serve "$@"
