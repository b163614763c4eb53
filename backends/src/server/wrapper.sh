# Runs "$@" as a process group of its own, and ends all of it when whoever started this closes its standard
# input, which also happens when they are killed.
exec 3<&0
trap : TERM
"$@" </dev/null 2>&1 3<&- &
child=$!
(
    trap '' TERM
    cat <&3
    kill -s TERM -- "-$$"
    sleep 10
    kill -s KILL -- "-$$"
) >/dev/null 2>&1 &
exec 3<&-
while :; do
    wait "$child"
    code=$?
    # A signal ends the wait, not the child.
    kill -0 "$child" 2>/dev/null || break
done
echo "shipworthy: the server ended with exit code $code"
kill -s KILL -- "-$$"
