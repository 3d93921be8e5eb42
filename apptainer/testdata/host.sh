#!/bin/bash
# Starts one allocation of bioengine-hpc. It holds no secret.
umask 077
ulimit -c 0
export HOME='/tmp/it'\''s'
export PATH=/usr/local/bin:/usr/bin:/bin
exec /opt/bin/bioengine-agent --allocation '/tmp/it'\''s/1' --python /usr/bin/python3
