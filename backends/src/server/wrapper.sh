# Runs "$@" as a process group of its own, and ends all of it when whoever started this closes its standard
# input, which also happens when they are killed. A line there asks the group to end, and gives it time.
exec 3<&0
trap : TERM
# What left the group for a session of its own, as launchers of several ranks have it, still has this variable.
mark=$$.$(date +%s)
kill_all() {
    rounds=20
    while [ "$rounds" -gt 0 ]; do
        rounds=$((rounds - 1))
        # Without /proc there is the group alone.
        found=$(grep -lszxF "SHIPWORTHY_GROUP=$mark" /proc/[0-9]*/environ)
        [ -n "$found" ] || break
        for path in $found; do
            process=${path#/proc/}
            process=${process%/environ}
            [ "$process" -gt 1 ] && kill -s KILL -- "$process" "-$process"
        done
    done
    kill -s KILL -- "-$$"
}
SHIPWORTHY_GROUP=$mark "$@" </dev/null 2>&1 3<&- &
child=$!
(
    trap '' TERM
    if read -r _ <&3; then
        kill -s TERM -- "-$$"
        cat <&3
    fi
    kill -s TERM -- "-$$"
    sleep 10
    kill_all
) >/dev/null 2>&1 &
exec 3<&-
while :; do
    wait "$child"
    code=$?
    # A signal ends the wait, not the child.
    kill -0 "$child" 2>/dev/null || break
done
echo "shipworthy: the process ended with exit code $code"
kill_all >/dev/null 2>&1
