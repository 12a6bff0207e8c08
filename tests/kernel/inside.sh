# The first process in the machine's root: what a system's start would do, then the command; its status is kept.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t mqueue mqueue /dev/mqueue
# The machine's own are read without their mounts: whatever lies below them is not the machine's state.
mkdir -p /var/lib/orlop
# But for the command's own directory, which may be below one of them.
directory=$(cat /vm/directory)
mkdir -p /kept && mount --bind "$directory" /kept
for folder in /dev/shm /run /tmp /var/tmp /var/lib/orlop; do mount -t tmpfs -o mode=1777 memory "$folder"; done
[ -d "$directory" ] || { mkdir -p "$directory" && mount --bind /kept "$directory"; }
umount /kept
mkdir -p /run/lock /run/netns
for controller in cpu cpuset memory pids io hugetlb; do echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control; done
hostname vm
ip link set lo up
# A node has an address and a way out; this one leads nowhere.
ip link add outside type dummy && ip addr add 192.0.2.10/24 dev outside && ip link set outside up
ip route add default via 192.0.2.1
ulimit -n 65536
setsid -cw bash /vm/command <>/dev/ttyS1 >&0 2>&0
echo $? >/vm/status
exec busybox poweroff -f
