# Runs "$@" as a process group of its own, and ends all of it when whoever started this closes its standard
# input, which also happens when they are killed. A line there asks the group to end, and gives it time.
exec 3<&0
trap : TERM
"$@" </dev/null 2>&1 3<&- &
child=$!
(
    trap '' TERM
    if read -r _ <&3; then
        kill -s TERM -- "-$$"
        cat <&3
    fi
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
echo "shipworthy: the process ended with exit code $code"
kill -s KILL -- "-$$"
