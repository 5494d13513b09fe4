"""What the kernel says when something is broken.

Reasons are the node problem detector's where it has one (its config/kernel-monitor.json and
readonly-monitor.json); the lines are from the kernel's own sources, in the forms of 3.10 to 6.x.
The first rule that fits counts, so what says more stands first.
"""

from __future__ import annotations

from kelp.base.problems.rule import Rule
from kelp.model.severity import ERROR, FATAL, WARN

_CRITICAL = ERROR + 1


def _rule(reason: str, severity: int, words: tuple[str, ...], pattern: str, example: str) -> Rule:
    return Rule(
        reason=reason,
        severity=severity,
        said_by="kernel",
        words=words,
        pattern=pattern,
        example=example,
    )


KERNEL_RULES = (
    # mm/oom_kill.c. Whole reports are records of their own already; this is for a line alone.
    _rule(
        "OOMKilling", ERROR, ("illed process ",),
        r"Killed process (?P<pid>\d+)(?:, UID \d+,)? \((?P<process>.*?)\),? "
        r"(?:UID \d+ )?total-vm:\d+kB, anon-rss:\d+kB",
        "Killed process 1012 (heapster) total-vm:327128kB, anon-rss:306328kB, file-rss:11132kB",
    ),
    # kernel/panic.c
    _rule(
        "KernelPanic", FATAL, ("Kernel panic - not syncing",),
        r"Kernel panic - not syncing: (?P<cause>.+)",
        "Kernel panic - not syncing: Fatal exception in interrupt",
    ),
    # arch/x86/mm/fault.c, arch/arm64/mm/fault.c, arch/x86/kernel/dumpstack.c, lib/bug.c
    _rule(
        "KernelOops", _CRITICAL,
        ("BUG: unable to handle", "BUG: kernel NULL pointer", "Unable to handle kernel",
         "divide error: ", "invalid opcode: ", "general protection fault", "kernel BUG at ",
         "Oops: ", "Internal error: ", "stack-protector: Kernel stack is corrupted"),
        r"BUG: unable to handle (?:kernel )?(?:NULL pointer|paging request|page fault)"
        r"|BUG: kernel NULL pointer dereference"
        r"|Unable to handle kernel (?:NULL pointer|paging request|access to)"
        r"|(?:divide error|invalid opcode|general protection fault)[^:\[]*: [0-9a-f]{4} "
        r"\[#\d+\]"
        r"|general protection fault, (?:probably for|maybe for)"
        r"|kernel BUG at \S+"
        r"|(?:Oops|Internal error): .*\[#\d+\]",
        "BUG: unable to handle kernel NULL pointer dereference at 0000000000000078",
    ),
    # kernel/hung_task.c
    _rule(
        "TaskHung", ERROR, (" blocked for more than ",),
        r"task (?P<process>\S.*?):(?P<pid>\d+) blocked for more than (?P<seconds>\d+) seconds",
        "INFO: task docker:20744 blocked for more than 120 seconds.",
    ),
    # kernel/watchdog.c, kernel/watchdog_perf.c
    _rule(
        "SoftLockup", _CRITICAL, ("soft lockup - CPU",),
        r"soft lockup - CPU#(?P<cpu>\d+) stuck for (?P<seconds>\d+)s",
        "watchdog: BUG: soft lockup - CPU#3 stuck for 23s! [kworker/3:1:1234]",
    ),
    _rule(
        "HardLockup", _CRITICAL, ("detected hard LOCKUP", "Detected hard LOCKUP"),
        r"[Dd]etected hard LOCKUP on cpu (?P<cpu>\d+)",
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 7",
    ),
    # kernel/rcu/tree_stall.h
    _rule(
        "RCUStall", ERROR, ("detected stall", "self-detected stall", "detected expedited stall"),
        r"rcu_?\w{0,20}.*detected (?:expedited )?stalls?",
        "rcu: INFO: rcu_sched self-detected stall on CPU",
    ),
    # fs/ext4/super.c, fs/btrfs, fs/xfs, fs/f2fs
    _rule(
        "FilesystemIsReadOnly", _CRITICAL,
        ("emounting filesystem read-only", "forced readonly", "ilesystem has been set read-only",
         "remounted read-only"),
        r"(?:\((?:device )?(?P<device>[\w./:-]+)\).*)?"
        r"(?:[Rr]emounting filesystem read-only|forced readonly"
        r"|[Ff]ilesystem has been set read-only|remounted read-only)",
        "EXT4-fs (sda1): Remounting filesystem read-only",
    ),
    _rule(
        "Ext4Error", ERROR, ("EXT4-fs error", "Aborting journal on device"),
        r"EXT4-fs error(?: \(device (?P<device>[^)\s]+)\))?"
        r"|Aborting journal on device (?P<device2>[\w/-]+)",
        "EXT4-fs error (device sda1): ext4_find_entry:1455: inode #262146: comm ls: reading "
        "directory lblock 0",
    ),
    _rule(
        "Ext4Warning", WARN, ("EXT4-fs warning",),
        r"EXT4-fs warning(?: \(device (?P<device>[^)\s]+)\))?",
        "EXT4-fs warning (device sdb): ext4_end_bio:323: I/O error 10 writing to inode 12",
    ),
    _rule(
        "XfsHasShutdown", _CRITICAL, ("hutting down filesystem", "has been shut down", "XFS"),
        r"XFS \((?P<device>[^)\s]+)\): .*(?:[Ss]hutting down filesystem|has been shut "
        r"down)",
        "XFS (dm-3): Corruption of in-memory data detected.  Shutting down filesystem",
    ),
    _rule(
        "XfsError", ERROR, ("XFS",),
        r"XFS \((?P<device>[^)\s]+)\): (?:Internal error|[Mm]etadata (?:corruption|I/O error"
        r"|CRC"
        r" error)|log I/O error|xfs_do_force_shutdown)",
        "XFS (sdc1): Metadata corruption detected at xfs_agf_read_verify+0x70/0x110",
    ),
    _rule(
        "BtrfsError", ERROR, ("BTRFS error", "BTRFS critical", "BTRFS: error"),
        r"BTRFS:? (?:error|critical) \(device (?P<device>[^)\s:]+)",
        "BTRFS error (device sda2): parent transid verify failed on 123 wanted 4 found 3",
    ),
    # fs/nfs: the server does not answer, and whoever reads from it hangs.
    _rule(
        "NfsServerNotResponding", WARN, ("not responding",),
        r"nfs: server (?P<server>\S+) not responding",
        "nfs: server nas.example.com not responding, still trying",
    ),
    # block/blk-core.c, block/blk-mq.c, fs/buffer.c, drivers/scsi, drivers/ata, drivers/nvme
    _rule(
        "IOError", ERROR,
        ("Buffer I/O error", "I/O error, dev ", "medium error, dev ", "target error, dev ",
         "exception Emask", "failed command: ", "Unrecovered read error", "lost async page write",
         "controller is down; will reset", "timeout, aborting", "timeout, reset controller",
         "Device not ready; aborting", "rejecting I/O to offline device", "Disk failure on ",
         "Sense Key : ", "FAILED Result: hostbyte=", "Detected IO errors"),
        r"Buffer I/O error on (?:dev|device) (?P<device>[\w/.-]+)"
        r"|(?:I/O|critical medium|critical target|critical nexus|medium) error, dev"
        r" (?P<device2>[\w/.-]+)"
        r"|(?P<device3>ata\d[\d.]{0,6}): (?:exception Emask|failed command: )"
        r"|(?P<device4>nvme\d\w{0,10}): (?:I/O .*timeout, (?:aborting|reset controller)"
        r"|controller is down; will reset|Device not ready; aborting)"
        r"|\[(?P<device5>sd[a-z]{1,3})\] .*(?:Unrecovered read error"
        r"|Sense Key : (?:Medium|Hardware) Error|FAILED Result: hostbyte=DID_(?:BAD|NO|ERROR|TIME))"
        r"|md/raid.*: Disk failure on (?P<device6>[\w-]+)|JBD2: Detected IO errors"
        r"|Unrecovered read error|lost async page write|rejecting I/O to offline device",
        "Buffer I/O error on dev sdb1, logical block 27, async page read",
    ),
    # drivers/firmware/efi/cper.c
    _rule(
        "CperHardwareErrorFatal", FATAL, ("event severity: fatal",),
        r"\[Hardware Error\]: event severity: fatal",
        "{1}[Hardware Error]: event severity: fatal",
    ),
    _rule(
        "CperHardwareErrorRecoverable", ERROR, ("event severity: recoverable",),
        r"\[Hardware Error\]: event severity: recoverable",
        "{1}[Hardware Error]: event severity: recoverable",
    ),
    _rule(
        "CperHardwareErrorCorrected", WARN, ("event severity: corrected",),
        r"\[Hardware Error\]: event severity: corrected",
        "{1}[Hardware Error]: event severity: corrected",
    ),
    # arch/x86/kernel/cpu/mce
    _rule(
        "MachineCheck", _CRITICAL,
        ("mce: ", "achine check", "achine Check", "[Hardware Error]: Corrected",
         "[Hardware Error]: Uncorrected", "[Hardware Error]: Deferred"),
        r"mce: \[Hardware Error\]: (?:Machine check|CPU (?P<cpu>\d+): Machine Check)"
        r"|CPU (?P<cpu2>\d+):? Machine [Cc]heck(?: Exception)?|Machine [Cc]heck [Ee]xception"
        r"|mce: .*[Mm]achine check events logged"
        r"|\[Hardware Error\]: (?:Corrected|Uncorrected|Deferred) error",
        "mce: [Hardware Error]: CPU 3: Machine Check: 0 Bank 5: be00000000800400",
    ),
    # drivers/edac
    _rule(
        "MemoryReadError", WARN, ("CE memory read error", "CE memory scrubbing error"),
        r"CE memory (?:read|scrubbing) error",
        "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0",
    ),
    _rule(
        "MemoryError", _CRITICAL, ("EDAC ", "Memory failure: "),
        r"EDAC \S{1,16}: \d+ UE |Memory failure: 0x[0-9a-f]{1,16}: ",
        "EDAC MC1: 1 UE memory read error on CPU_SrcID#1_MC#0_Chan#0_DIMM#0",
    ),
    # drivers/pci/pcie/aer.c
    _rule(
        "PCIeError", ERROR, ("PCIe Bus Error", "AER: "),
        r"(?P<device>[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]): (?:AER: )?PCIe Bus Error: "
        r"severity=(?P<kind>Uncorrected|Corrected)",
        "pcieport 0000:00:1c.0: PCIe Bus Error: severity=Corrected, type=Physical Layer",
    ),
    _rule(
        "CPUThrottled", WARN, ("temperature above threshold", "temperature/speed"),
        r"(?:CPU(?P<cpu>\d+): )?(?:Core|Package) temperature (?:is )?above threshold",
        "mce: CPU2: Core temperature above threshold, cpu clock throttled (total events = 31)",
    ),
    # net/sched/sch_generic.c, and the network drivers
    _rule(
        "NICReset", ERROR,
        ("NETDEV WATCHDOG", "Reset adapter", "Hardware Unit Hang", "due to tx timeout",
         "esetting device", "TX timeout detected", "tx hang"),
        r"NETDEV WATCHDOG: (?P<interface>[^\s:]{1,16}) \([^)]+\): transmit queue"
        r"|(?P<interface2>[^\s:]{1,16}): NETDEV WATCHDOG: .*transmit queue"
        r"|(?P<interface3>[^\s:]{1,16}): (?:Reset adapter|Detected (?:Tx|Hardware) Unit Hang"
        r"|initiating reset due to tx timeout|TX timeout detected|tx hang \d+ detected)"
        r"|Detected Hardware Unit Hang",
        "NETDEV WATCHDOG: eth0 (e1000e): transmit queue 0 timed out",
    ),
    _rule(
        "NICLinkDown", WARN,
        ("ink is down", "ink is Down", "Link down", "Link Down", "Link is DOWN", "link down",
         "ink status definitely down", "Lost carrier"),
        r"(?P<interface>[\w.@-]{1,16}): (?:NIC )?(?:[Ll]ink (?:is )?(?:[Dd]own|DOWN)"
        r"|\w{1,16} NIC [Ll]ink is [Dd]own|Lost carrier)"
        r"|slave (?P<interface2>[\w.@-]{1,16})\): link status definitely down"
        r"|interface (?P<interface3>[\w.@-]{1,16}), disabling it",
        "ixgbe 0000:03:00.0 eth0: NIC Link is Down",
    ),
    _rule(
        "UnregisterNetDevice", ERROR, ("unregister_netdevice: waiting",),
        r"unregister_netdevice: waiting for (?P<interface>\S{1,16}) to become free",
        "unregister_netdevice: waiting for lo to become free. Usage count = 1",
    ),
    # net/netfilter/nf_conntrack_core.c, net/core/neighbour.c
    _rule(
        "ConntrackFull", ERROR, ("table full, dropping packet",),
        r"nf_conntrack: .*table full, dropping packet|ip_conntrack: table full, dropping",
        "nf_conntrack: nf_conntrack: table full, dropping packet",
    ),
    _rule(
        "NeighbourTableFull", ERROR, ("eighbour table overflow", "eighbor table overflow"),
        r"(?:neighbou?r|arp_cache|ndisc_cache): .{0,20}neighbou?r table overflow",
        "neighbour: arp_cache: neighbor table overflow!",
    ),
    # security/apparmor/audit.c, security/selinux/avc.c, kernel/auditsc.c (1326 is SECCOMP)
    _rule(
        "AppArmorDenied", WARN, ('apparmor="DENIED"',),
        r'apparmor="DENIED"(?:.{0,20} operation="(?P<operation>[^"]+)")?'
        r'(?:.*? profile="(?P<profile>[^"]+)")?'
        r'(?:.*? name="(?P<path>[^"]+)")?'
        r'(?:.*? comm="(?P<process>[^"]+)")?',
        'audit: type=1400 audit(1763600000.1:42): apparmor="DENIED" operation="open" class="file" '
        'profile="cri-containerd.apparmor.d" name="/proc/kcore" pid=4242 comm="cat" '
        'requested_mask="r" denied_mask="r" fsuid=0 ouid=0',
    ),
    _rule(
        "SELinuxDenied", WARN, ("avc:  denied", "avc: denied"),
        r'avc: {1,2}denied {1,2}\{ (?P<operation>[^}]+?) \}'
        r'(?:.*? comm="(?P<process>[^"]+)")?'
        r'(?:.*? name="(?P<path>[^"]+)")?',
        'audit: type=1400 audit(1763600000.1:43): avc:  denied  { read } for  pid=4242 '
        'comm="httpd" '
        'name="shadow" dev="sda1" ino=131 scontext=system_u:system_r:container_t:s0:c1,c2 '
        "tcontext=system_u:object_r:shadow_t:s0 tclass=file permissive=0",
    ),
    _rule(
        "SeccompDenied", WARN, ("type=1326", "type=SECCOMP"),
        r'type=(?:1326|SECCOMP) .*? comm="(?P<process>[^"]+)"'
        r"(?:.*? syscall=(?P<syscall>\d{1,6}))?",
        "audit: type=1326 audit(1763600000.1:44): auid=4294967295 uid=0 gid=0 ses=4294967295 "
        'pid=4242 comm="unshare" exe="/usr/bin/unshare" sig=0 arch=c000003e syscall=272 compat=0 '
        "ip=0x7f code=0x50000",
    ),
    # arch/x86/mm/fault.c, arch/x86/kernel/traps.c
    _rule(
        "Segfault", WARN, (": segfault at ", "traps: "),
        r"(?P<process>[^\[\s]+)\[(?P<pid>\d+)\]:? (?:segfault at|general protection fault ip:"
        r"|trap invalid opcode ip:|trap divide error ip:)",
        "worker[4242]: segfault at 0 ip 000055d0c0ffee sp 00007ffc0 error 4 in "
        "worker[55d0c0f00+1000]",
    ),
    # kernel/cgroup/pids.c, mm/page_alloc.c, kernel/panic.c
    _rule(
        "ForkRejected", WARN, ("fork rejected by pids controller",),
        r"fork rejected by pids controller in (?P<cgroup>\S+)",
        "cgroup: fork rejected by pids controller in /kubepods/burstable/pod1/c",
    ),
    _rule(
        "PageAllocationFailure", WARN, ("page allocation failure",),
        r"(?:(?P<process>\S+): )?page allocation failure",
        "kworker/u8:1: page allocation failure: order:4, mode:0x40c0(GFP_KERNEL|__GFP_COMP)",
    ),
    _rule(
        "KernelWarning", WARN, ("WARNING: CPU: ", "WARNING: at "),
        r"WARNING: (?:CPU: \d+ PID: \d+ )?at (?P<place>\S+)",
        "WARNING: CPU: 0 PID: 7 at net/sched/sch_generic.c:316 dev_watchdog+0x22c/0x244",
    ),
)  # fmt: skip
