"""OOM reports as kernels print them, one function a generation, from the format strings in
mm/oom_kill.c and mm/memcontrol.c; the values are made up."""

POD = "6f1c3a52-08de-4b6c-9a41-77d0c2e94b10"
CONTAINER = "c0ffee" + "0123456789abcdef" * 3 + "0123456789"
SYSTEMD_POD = (
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice"
)
SYSTEMD = f"{SYSTEMD_POD}/cri-containerd-{CONTAINER}.scope"
CGROUPFS_POD = f"/kubepods/burstable/pod{POD}"
CGROUPFS = f"{CGROUPFS_POD}/{CONTAINER}"

STACK_3 = [
    "CPU: 3 PID: 4242 Comm: ab (cd) e Not tainted 3.10.0-1160.el7.x86_64 #1",
    "Hardware name: none",
    "Call Trace:",
    " [<ffffffff81152e64>] pagefault_out_of_memory+0x14/0x80",
]


def memcg_3_10(pid=4242, task=CGROUPFS, limit=CGROUPFS_POD, name="ab (cd) e"):
    return [
        f"{name} invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=993",
        f"{name} cpuset={CONTAINER} mems_allowed=0",
        *(line.replace("4242", str(pid)).replace("ab (cd) e", name) for line in STACK_3),
        f"Task in {task} killed as a result of limit of {limit}",
        "memory: usage 65536kB, limit 65536kB, failcnt 17",
        "memory+swap: usage 65536kB, limit 9007199254740991kB, failcnt 0",
        "kmem: usage 0kB, limit 9007199254740991kB, failcnt 0",
        f"Memory cgroup stats for {limit}: cache:0KB rss:0KB",
        f"Memory cgroup stats for {task}: cache:4KB rss:65000KB",
        "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
        f"[{pid:5}]  1000 {pid:5}    25000    16000      48        0           993 {name}",
        f"Memory cgroup out of memory: Kill process {pid} ({name}) score 1990 or sacrifice child",
        f"Killed process {pid} ({name}) total-vm:100000kB, anon-rss:64000kB, file-rss:12kB",
    ]


def memcg_4_19(pid=4242, name="ab (cd) e"):
    return [
        f"{name} invoked oom-killer: gfp_mask=0x6000c0(GFP_KERNEL), nodemask=(null), order=0, "
        "oom_score_adj=993",
        f"{name} cpuset=cri-containerd-{CONTAINER}.scope mems_allowed=0",
        f"CPU: 1 PID: {pid} Comm: {name} Tainted: G        W  O      4.19.0-27-amd64 #1 Debian",
        "Call Trace:",
        " dump_stack+0x66/0x81",
        f"Task in {SYSTEMD} killed as a result of limit of {SYSTEMD_POD}",
        "memory: usage 65536kB, limit 65536kB, failcnt 17",
        "memory+swap: usage 65536kB, limit 65536kB, failcnt 0",
        "kmem: usage 100kB, limit 9007199254740988kB, failcnt 0",
        f"Memory cgroup stats for {SYSTEMD_POD}: cache:0KB rss:0KB shmem:0KB",
        "Tasks state (memory values in pages):",
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
        f"[{pid:7}]  1000 {pid:5}    25000    16000   196608        0           993 {name}",
        f"Memory cgroup out of memory: Kill process {pid} ({name}) score 1990 or sacrifice child",
        f"Killed process {pid} ({name}) total-vm:100000kB, anon-rss:64000kB, file-rss:12kB, "
        "shmem-rss:0kB",
        f"oom_reaper: reaped process {pid} ({name}), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    ]


def memcg_6(pid=4242, name="ab (cd) e", task=SYSTEMD, limit=SYSTEMD_POD):
    return [
        f"{name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=993",
        f"CPU: 1 UID: 1000 PID: {pid} Comm: {name} Not tainted 6.12.9-amd64 #1 PREEMPT(lazy)",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x57/0x80",
        "RIP: 0033:0x401d50",
        "memory: usage 65536kB, limit 65536kB, failcnt 17",
        "swap: usage 0kB, limit 0kB, failcnt 0",
        f"Memory cgroup stats for {limit}:",
        "anon 65536000",
        "file 0",
        "pgfault 12345",
        "Tasks state (memory values in pages):",
        "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes "
        "swapents oom_score_adj name",
        "[   4000] 65535  4000      243        1        0        1         0    28672        0"
        "          -998 pause",
        f"[{pid:7}]  1000 {pid:5}    25000    16003    16000        3         0   196608        0"
        f"           993 {name}",
        f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-containerd-{CONTAINER}"
        f".scope,mems_allowed=0-1,oom_memcg={limit},task_memcg={task},task={name},pid={pid},"
        "uid=1000",
        f"Memory cgroup out of memory: Killed process {pid} ({name}) total-vm:100000kB, "
        "anon-rss:64000kB, file-rss:12kB, shmem-rss:0kB, UID:1000 pgtables:192kB "
        "oom_score_adj:993",
    ]


def global_6(pid=4242, name="ab (cd) e", task="/system.slice/db.service"):
    return [
        "kworker invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=2, "
        "oom_score_adj=0",
        "CPU: 0 PID: 77 Comm: kworker Not tainted 6.1.0-30-amd64 #1  Debian 6.1.124-1",
        "Mem-Info:",
        "active_anon:467412 inactive_anon:0 isolated_anon:0",
        " active_file:0 inactive_file:0 isolated_file:0",
        "Node 0 DMA free:15360kB min:0kB",
        "524158 pages RAM",
        "Tasks state (memory values in pages):",
        "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
        f"[{pid:7}]  1000 {pid:5}    25000    16000   196608        0           -42 {name}",
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
        f"task_memcg={task},task={name},pid={pid},uid=1000",
        f"Out of memory: Killed process {pid} ({name}) total-vm:100000kB, anon-rss:64000kB, "
        "file-rss:12kB, shmem-rss:0kB, UID:1000 pgtables:192kB oom_score_adj:-42",
    ]


def group_6(pids=(4242, 4243, 4244)):
    first, *rest = pids
    sizes = (
        "total-vm:100kB, anon-rss:50kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:32kB "
        "oom_score_adj:993"
    )
    return [
        *memcg_6(first, "leader"),
        f"Tasks in {SYSTEMD} are going to be killed due to memory.oom.group set",
        *(
            f"Memory cgroup out of memory: Killed process {pid} (p{pid}) {sizes}"
            for pid in (first, *rest)
        ),
    ]
