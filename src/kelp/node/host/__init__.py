"""What a node is doing: processes, sockets, disks, memory, pressure, cgroups, routes.

Everything comes from /proc and /sys, read as files under roots that can be chosen, so that a
container with the host's file systems mounted, and a test with made ones, see what a node sees. Two
libraries were weighed and left out. psutil knows neither cgroups nor pressure nor queues of disks,
takes /sys for granted, and sees the sockets of one network namespace. pyroute2 asks by netlink,
which answers for the asker's own namespace only; entering another takes rights that reading
/proc/PID/net does not.

`reading` is the edge to the file systems; a module a subject parses (pure) and samples; `show`
makes text of the reports. What could not be read is said in a report's notes, never hidden.
"""
