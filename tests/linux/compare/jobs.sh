#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# An interactive bash on a pseudo terminal, driven as a person would: jobs stopped, continued, brought
# to the foreground and killed.
export LC_ALL=C
exec python3 - <<'END'
import os, pty, re, select, sys, time

child, master = pty.fork()
if child == 0:
    os.environ.update(PS1="PROMPT> ", TERM="dumb", HISTFILE="")
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])

received = ""

def expect(pattern, seconds=60):
    global received
    end = time.time() + seconds
    while True:
        found = re.search(pattern, received)
        if found:
            received = received[found.end():]
            return found.group(0)
        ready, _, _ = select.select([master], [], [], max(0, end - time.time()))
        if not ready:
            print(f"nothing like {pattern!r} in {received!r}")
            sys.exit(1)
        try:
            received += os.read(master, 4096).decode()
        except OSError:
            received += "<hangup>"

def say(text):
    os.write(master, text.encode())

def step(text, *patterns):
    say(text)
    for pattern in patterns:
        # Process numbers are as they come.
        print(re.sub(r"\b\d{2,}\b", "N", expect(pattern).strip()))
    expect("PROMPT> ")

expect("PROMPT> ")
step("stty -echo; echo ready\n", r"\nready")
step("sleep 100 & sleep 200 &\n", r"\[1\] \d+", r"\[2\] \d+")
step("jobs\n", r"\[1\]- +Running +sleep 100", r"\[2\]\+ +Running +sleep 200")
step("kill %1; wait %1; echo \"status $?\"\n", r"\[1\]- +Terminated +sleep 100", r"status \d+")
say("fg %2\n")
expect("sleep 200")
time.sleep(0.5)
step("\x1a", r"\[2\]\+ +Stopped +sleep 200")
step("jobs -s\n", r"\[2\]\+ +Stopped +sleep 200")
step("bg\n", r"\[2\]\+ sleep 200 &")
step("jobs -r\n", r"\[2\]\+ +Running +sleep 200")
say("fg\n")
expect("sleep 200")
time.sleep(0.5)
step("\x03")
step("echo \"after ctrl-c $?\"\n", r"after ctrl-c \d+")
say("cat | tr a-z A-Z\n")
time.sleep(0.5)
say("typed\n")
time.sleep(0.2)
step("\x04", "TYPED")
say("sh -c 'trap \"echo no\" INT; while :; do sleep 0.1; done'\n")
time.sleep(0.7)
say("\x03")
print(expect("no"))
time.sleep(0.3)
step("\x1a", r"\[1\]\+ +Stopped")
step("kill -9 %1; wait %1 2>/dev/null; echo \"then $?\"\n", r"then \d+")
step("(sleep 0.2; exit 3) & wait $!; echo \"waited $?\"\n", r"waited 3")
step("stty size >/dev/null && tput -T dumb cols >/dev/null; echo \"$-\" | grep -o m\n", "m")
say("exit 5\n")
_, status = os.waitpid(child, 0)
print("ended with", os.waitstatus_to_exitcode(status))
END
