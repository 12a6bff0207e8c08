#!/bin/busybox sh
# The first process: mounts the machine's root with a layer in memory above it, and goes on there.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
mkdir -p /machine /memory /share /root
options=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o "ro,cache=loose,$options" machine /machine || poweroff -f
mount -t tmpfs -o size=90% memory /memory
mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/machine,upperdir=/memory/upper,workdir=/memory/work root /root || poweroff -f
mkdir -p /root/vm "/root/lib/modules"
mount -t 9p -o "$options" share /root/vm || poweroff -f
mount --bind "/machine$(cat /unpacked)/lib/modules" /root/lib/modules
umount /proc
mount --move /dev /root/dev
exec switch_root /root /bin/bash /vm/inside.sh
