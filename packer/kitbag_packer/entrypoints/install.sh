#!/bin/sh
# Installs what is in this folder, an unzipped kitbag bundle, with a Python of this machine.
# sh install.sh [OPTIONS]; the options are those of "kitbag install".
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
for name in python3 python3.20 python3.19 python3.18 python3.17 python3.16 python3.15 \
    python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python; do
    python=$(command -v "$name") || continue
    "$python" -I -S -B -c 'import sys; sys.exit(sys.version_info < (3, 9))' \
        >/dev/null 2>&1 </dev/null || continue
    exec "$python" -I -B "$here/__main__.py" install "$@"
done
echo "kitbag needs Python 3.9 or newer, and there is none on the PATH:" \
    "install one, or use the bundle as one file." >&2
exit 5
