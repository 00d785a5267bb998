#!/bin/bash
# Walks docs/high-availability.md on bare Debian machines, from nothing to a proven failover; about 15 minutes, as root.
#
#   Tests/Manual/high-availability.sh [ASM [STEP…]]     ASM: the program of `make install`, default dist/usr/local/bin/asm
#
# The machines are containers that systemd boots (systemd-nspawn), from one root made by debootstrap, each with a network
# of its own on one bridge, 10.0.0.0/24. What the page does on a machine is done there, in the page's order and words;
# `on MACHINE` stands for a shell there, `put` for scp. Without STEPs: all of them, and everything is taken down again. With STEPs
# (names of the functions below: machines, program, …, down) just those, on machines that stay: to look around in.
# The exit status says whether every step and every drill passed. HA_FOLDER (default /var/tmp/asm-ha) holds the machines;
# DEBIAN_MIRROR: where debootstrap gets Debian from, if not from its usual place.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)
asm=$(realpath "${1:-$repository/dist/usr/local/bin/asm}")
folder=${HA_FOLDER:-/var/tmp/asm-ha}
# Where an administrator works on each machine.
home=/srv/walk
bridge=asmha0
declare -A address=([ops]=10.0.0.5 [asm1]=10.0.0.11 [asm2]=10.0.0.12 [db1]=10.0.0.21 [db2]=10.0.0.22 [witness]=10.0.0.23
    [web1]=10.0.0.31 [web2]=10.0.0.32 [lb1]=10.0.0.41 [lb2]=10.0.0.42)
machines="ops asm1 asm2 db1 db2 witness web1 web2 lb1 lb2"
password=$(echo asm-walk | sha256sum | cut -c1-24)

say() { printf '%s  +%4d s  %s\n' "$(date -u +%H:%M:%S)" "$SECONDS" "$*"; }

# --- Machines -----------------------------------------------------------------------------------------------------------

leader() { cat "$folder/$1/leader"; }

# on MACHINE [COMMAND…]: there, in its $home; without a command what stands on the standard input is run by bash.
on() {
    local machine=$1; shift
    (( $# > 0 )) || set -- bash -euo pipefail -s
    nsenter --target "$(leader "$machine")" --mount --uts --ipc --net --pid --cgroup -- env --ignore-environment HOME=$home \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \
        DEBIAN_FRONTEND=noninteractive me="$machine" ip="${address[$machine]}" bash -c 'cd && exec "$@"' - "$@"
}

# each 'MACHINE…': what stands on the standard input, on all of them at once.
each() {
    local script status=0 pids=(); script=$(cat)
    for machine in $1; do on "$machine" <<<"$script" >"$folder/$machine/out" 2>&1 & pids+=("$!:$machine"); done
    for pid in "${pids[@]}"; do
        wait "${pid%%:*}" || { status=1; echo "--- ${pid##*:}:"; tail -20 "$folder/${pid##*:}/out"; }
    done
    return $status
}

# put MACHINE PATH TARGET: copies a file or folder of the machine `ops` to another, as scp would.
put() { on ops tar -C "$(dirname "$2")" -cf - "$(basename "$2")" | on "$1" tar --no-same-owner -C "$3" -xf -; }

# The folders of its own in the control groups are what makes a machine's systemd its own, and a power cut easy.
groups() { ls -d /sys/fs/cgroup/systemd/asm-ha-"$1" /sys/fs/cgroup/unified/asm-ha-"$1" /sys/fs/cgroup/asm-ha-"$1" 2>/dev/null; }

power_on() {
    local machine=$1 place=$folder/$1 hierarchy
    for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
        [[ ! -e $hierarchy/cgroup.procs ]] || mkdir -p "$hierarchy/asm-ha-$machine"
    done
    mountpoint -q "$place/root" \
        || mount -t overlay overlay -o "lowerdir=$folder/base,upperdir=$place/up,workdir=$place/work" "$place/root"
    (
        for group in $(groups "$machine"); do echo $BASHPID >"$group/cgroup.procs"; done
        exec setsid systemd-nspawn --register=no --keep-unit --boot --quiet --machine="$machine" --directory="$place/root" \
            --network-bridge=$bridge --resolv-conf=off --timezone=off --link-journal=no --console=pipe \
            >"$place/console" 2>&1 </dev/null
    ) &
    local supervisor=$! tries child state
    echo $supervisor >"$place/supervisor"
    for tries in {1..100}; do
        # Its first child is the machine's first process, as soon as that is systemd.
        for child in $(cat /proc/$supervisor/task/$supervisor/children 2>/dev/null); do
            [[ $(cat "/proc/$child/comm" 2>/dev/null) == systemd ]] || continue
            echo "$child" >"$place/leader"
            state=$(on "$machine" systemctl is-system-running 2>/dev/null || true)
            [[ $state != running && $state != degraded ]] || return 0
        done
        sleep 0.3
    done
    echo "$machine does not boot:"; tail "$place/console"; return 1
}

power_off() { local pid; for pid in $(for g in $(groups "$1"); do cat $(find "$g" -name cgroup.procs); done | sort -u); do
    kill -KILL "$pid" 2>/dev/null || true; done; rm -f "$folder/$1/leader"; ip link del "vb-$1" 2>/dev/null || true; }

unplug() { ip link set "vb-$1" down; }
plug() { ip link set "vb-$1" up; }

machines() {
    mkdir -p "$folder"
    for tool in debootstrap systemd-nspawn nft; do command -v $tool >/dev/null || missing+=" $tool"; done
    [[ -z ${missing:-} ]] || { apt-get update -q; apt-get install -y -q --no-install-recommends debootstrap \
        systemd-container nftables python3-aiosmtpd; } >"$folder/apt.log" 2>&1
    [[ -e $folder/base/etc/debian_version ]] || debootstrap --variant=minbase \
        --include=systemd,systemd-sysv,dbus,iproute2,procps,ca-certificates bookworm "$folder/base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} \
        >"$folder/debootstrap.log"
    mkdir -p "$folder/base$home"
    say "a root of Debian $(cat "$folder/base/etc/debian_version")"
    sysctl -q net.ipv4.ip_forward fs.inotify.max_user_instances >"$folder/sysctl" \
        || sysctl net.ipv4.ip_forward fs.inotify.max_user_instances >"$folder/sysctl"
    sysctl -q net.ipv4.ip_forward=1 fs.inotify.max_user_instances=2048
    ip link show $bridge >/dev/null 2>&1 || { ip link add $bridge type bridge; ip address add 10.0.0.1/24 dev $bridge
        ip link set $bridge up; }
    nft -f - <<-'nft'
		add table ip asmha
		flush table ip asmha
		add chain ip asmha out { type nat hook postrouting priority srcnat; }
		add rule ip asmha out ip saddr 10.0.0.0/24 ip daddr != 10.0.0.0/24 masquerade
	nft
    for machine in $machines; do
        local place=$folder/$machine; local etc=$place/up/etc
        mkdir -p "$place"/{root,work} "$etc/systemd/network" "$etc/systemd/system/multi-user.target.wants"
        echo "$machine" >"$etc/hostname"
        grep nameserver /etc/resolv.conf >"$etc/resolv.conf"
        # Its interface is called host0 here.
        printf '[Match]\nName=host0\n[Network]\nAddress=%s/24\nGateway=10.0.0.1\nLinkLocalAddressing=no\n' \
            "${address[$machine]}" >"$etc/systemd/network/10-host0.network"
        ln -sf /lib/systemd/system/systemd-networkd.service "$etc/systemd/system/multi-user.target.wants/"
        # As Debian's installer leaves it: the page says what to do about it.
        printf '127.0.0.1 localhost\n127.0.1.1 %s.example.internal %s\n' "$machine" "$machine" >"$etc/hosts"
        power_on "$machine" &
    done
    wait_all
    say "machines: $machines"
}

# Waits for the machines that were powered on, not for their supervisors.
wait_all() { local machine tries; for machine in $machines; do
    for tries in {1..200}; do [[ -s $folder/$machine/leader ]] && on "$machine" true 2>/dev/null && break; sleep 0.3; done
    on "$machine" true; done; }

down() {
    for machine in $machines; do power_off "$machine"; done
    [[ ! -s $folder/smtp.pid ]] || kill "$(cat "$folder/smtp.pid")" 2>/dev/null || true
    sleep 1
    for machine in $machines; do
        umount "$folder/$machine/root" 2>/dev/null || true
        for group in $(groups "$machine"); do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
        rm -rf "${folder:?}/$machine"
    done
    ip link del $bridge 2>/dev/null || true
    nft delete table ip asmha 2>/dev/null || true
    [[ ! -s $folder/sysctl ]] || sysctl -q -p "$folder/sysctl"
    say "everything is down; the root stays in $folder/base"
}

# --- The page -----------------------------------------------------------------------------------------------------------

# What you need: names, the program, its user.
program() {
    local names; names=$(for machine in $machines; do echo "${address[$machine]} $machine.example.internal $machine"; done
        echo 10.0.0.40 web.example.internal; echo 10.0.0.1 smtp.example.org)
    each "$machines" <<-sh
		sed -i '/^127\.0\.1\.1/d' /etc/hosts
		cat >>/etc/hosts <<<'$names'
		test "\$(getent ahostsv4 \$me.example.internal | awk '{print \$1; exit}')" = \$ip
		mkdir -p /etc/asm/tls
		apt-get update -q
	sh
    for machine in $machines; do
        cp -r "$repository/deploy" "$folder/$machine/root$home/"
        case $machine in ops|asm?|web?) cp "$asm" "$folder/$machine/root$home/asm" ;; esac
    done
    each "ops asm1 asm2 web1 web2" <<-'sh'
		install -m 755 asm /usr/local/bin/asm
		apt-get install -y libpq5 libsqlite3-0 libsodium23 libcurl4 libxml2 ca-certificates curl
		useradd --system --home-dir /var/lib/asm --create-home asm
		asm --version
	sh
    say "program installed: $(on asm1 asm --version)"
}

certificates() {
    on ops <<-'sh'
		asm certificates init /srv/asm-ca
		asm certificates init /srv/db-ca
		asm certificates issue asm1 --host asm1.example.internal --host 10.0.0.11 --dir /srv/asm-ca
		asm certificates issue asm2 --host asm2.example.internal --host 10.0.0.12 --dir /srv/asm-ca
		for host in web1 web2; do
		    asm certificates issue $host --role web --dir /srv/asm-ca
		    asm certificates issue $host-https --role https --host $host.example.internal --host web.example.internal \
		        --dir /srv/asm-ca
		done
		asm certificates issue web --role https --host web.example.internal --dir /srv/asm-ca
		for host in db1 db2; do
		    asm certificates issue $host --role https --host $host.example.internal --dir /srv/asm-ca
		    asm certificates issue $host-patroni --host $host.example.internal --dir /srv/db-ca
		done
		for host in db1 db2 witness; do
		    asm certificates issue $host-etcd --host $host.example.internal --host localhost --host 127.0.0.1 --dir /srv/db-ca
		done
		cp /srv/db-ca/ca.pem /srv/db-ca/db-ca.pem
		asm certificates issue smtp --role https --host smtp.example.org --dir /srv/asm-ca >/dev/null
	sh
    for machine in $machines; do put "$machine" /srv/asm-ca/ca.pem /etc/asm/tls; done
    for machine in asm1 asm2 web1 web2 db1 db2; do for end in pem key; do
        put $machine /srv/asm-ca/$machine.$end /etc/asm/tls; done; done
    for machine in web1 web2; do for end in pem key; do put $machine /srv/asm-ca/$machine-https.$end /etc/asm/tls; done; done
    for machine in lb1 lb2; do for end in pem key; do put $machine /srv/asm-ca/web.$end /etc/asm/tls; done; done
    for machine in db1 db2 witness; do for end in pem key; do
        put $machine /srv/db-ca/$machine-etcd.$end /etc/asm/tls; done; put $machine /srv/db-ca/db-ca.pem /etc/asm/tls; done
    for machine in db1 db2; do for end in pem key; do put $machine /srv/db-ca/$machine-patroni.$end /etc/asm/tls; done; done
    each "$machines" <<<'chmod 644 /etc/asm/tls/*.pem; ! ls /etc/asm/tls/*.key 2>/dev/null || chmod 600 /etc/asm/tls/*.key'
    each "asm1 asm2 web1 web2" <<<'chown asm /etc/asm/tls/*.key'
    say "certificates: $(on web1 asm certificates show /etc/asm/tls/web1-https.pem | head -3 | tr '\n' ' ')"
}

# 1. Load balancing.
balancers() {
    each "lb1 lb2" <<-'sh'
		apt-get install -y haproxy keepalived curl
		# Where the walk's host lets no process open so many files, HAProxy is given fewer connections.
		(( $(ulimit -Hn) > 40100 )) || sed -i 's/maxconn 20000/maxconn 8000/' deploy/haproxy/haproxy.cfg
		install -m 644 deploy/haproxy/haproxy.cfg /etc/haproxy/haproxy.cfg
		mkdir -p -m 700 /etc/haproxy/certs
		cat /etc/asm/tls/web.pem /etc/asm/tls/web.key >/etc/haproxy/certs/asm.pem
		haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy && sleep 1
		curl --fail http://127.0.0.1:8404/alive
		interface=$(ip -o -4 address show to $ip | awk '{print $2; exit}')
		case $me in
		    lb1) sed "s/eth0/$interface/" deploy/keepalived/keepalived.conf ;;
		    lb2) sed "s/eth0/$interface/; s/lb1/lb2/g; s/10\.0\.0\.41/OTHER/; s/10\.0\.0\.42/10.0.0.41/; s/OTHER/10.0.0.42/" \
		        deploy/keepalived/keepalived.conf ;;
		esac | grep -v '^#' >/etc/keepalived/keepalived.conf
		systemctl restart keepalived && systemctl is-active keepalived
	sh
    sleep 5
    say "load balancers: the address is at $(holder)"
}

# Which load balancer has the address.
holder() {
    for machine in lb1 lb2; do
        [[ ! -s $folder/$machine/leader ]] || ! on $machine ip -o address show to 10.0.0.40 | grep -q . || echo -n "$machine"
    done
}

# 2. Two database servers.
databases() {
    each "db1 db2 witness" <<-'sh'
		apt-get install -y etcd-server etcd-client
		sed "/^ETCD_INITIAL_CLUSTER=/!s/db1/$me/g; s/10\.0\.0\.21/$ip/g" deploy/etcd/etcd.env >/etc/default/etcd
		chown etcd /etc/asm/tls/$me-etcd.key
		systemctl restart --no-block etcd
	sh
    sleep 8
    on db1 <<-'sh'
		etcdctl --cacert /etc/asm/tls/db-ca.pem --cert /etc/asm/tls/db1-etcd.pem --key /etc/asm/tls/db1-etcd.key \
		    --endpoints https://db1.example.internal:2379 endpoint health --cluster
	sh
    say "etcd is healthy"
    each "db1 db2" <<-'sh'
		apt-get install -y postgresql patroni python3-etcd
		systemctl disable --now postgresql
		chown postgres /etc/asm/tls/$me.key /etc/asm/tls/$me-patroni.key
		mkdir -p /etc/systemd/system/patroni.service.d
		install -m 644 deploy/patroni/watchdog.conf /etc/systemd/system/patroni.service.d/
		systemctl daemon-reload
	sh
    for machine in db1 db2; do
        on $machine <<-sh
			umask 077
			sed "/^  hosts:/!s/db1/\$me/g; s/10\.0\.0\.21/\$ip/g" deploy/patroni/patroni.yml \
			    | sed "s/CHANGE-ME-[A-Z]*/$password/" >/etc/patroni/config.yml
			chown postgres /etc/patroni/config.yml
			systemctl enable --now patroni
			for second in {1..90}; do
			    ! patronictl -c /etc/patroni/config.yml list | grep -q "\$me .*running" || break
			    sleep 1
			done
		sh
    done
    until_synchronous
    on "$(primary)" <<-'sh'
		su - postgres -c 'createdb --owner asm asm'
		su - postgres -c "psql -c 'GRANT pg_monitor TO asm'"
	sh
}

patronictl() { on "$1" patronictl -c /etc/patroni/config.yml "${@:2}"; }
# Which database server is the leader, as either of them says.
primary() {
    for machine in db1 db2; do
        [[ -s $folder/$machine/leader ]] || continue
        patronictl $machine list -f json 2>/dev/null && return
    done | python3 -c 'import json, sys
print(next(member["Member"] for member in json.load(sys.stdin) if member["Role"] == "Leader"))'
}

until_synchronous() {
    for second in {1..120}; do
        ! patronictl db1 list 2>/dev/null | grep -q 'Sync Standby.*\(running\|streaming\)' || { patronictl db1 list; return; }
        sleep 1
    done
    patronictl db1 list; return 1
}

# 3. The ASM Services.
services() {
    for machine in asm1 asm2; do
        on $machine <<-sh
			sed "s/asm1/\$me/g; s/10\.0\.0\.11/\$ip/; s/CHANGE-ME-ASM/$password/" deploy/settings/service.json \
			    | install -m 640 -g asm /dev/stdin /etc/asm/service.json
			install -m 644 deploy/systemd/asm-service.service /etc/systemd/system/
			systemctl daemon-reload
			systemctl enable --now asm-service
			sleep 3; systemctl is-active asm-service
		sh
    done
    on asm1 <<-'sh'
		asm customer add 'Mercy Hospital' --config /etc/asm/service.json
		asm servers --config /etc/asm/service.json
		asm license show --config /etc/asm/service.json
	sh
    # Whoever gives licenses out does this elsewhere: here it is `ops`.
    local number; number=$(on asm1 asm license show --config /etc/asm/service.json | grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' | head -1)
    on ops asm license issue --key issuer.key --installation "$number" --licensee 'Mercy Hospital' --servers 2 --users 500 \
        --out mercy.license
    put asm1 $home/mercy.license $home
    on asm1 asm license install mercy.license --config /etc/asm/service.json
    sleep 3
    on asm1 asm servers --config /etc/asm/service.json
}

# 5. The Web Services and Admin Webs.
webs() {
    each "web1 web2" <<-'sh'
		install -m 644 deploy/settings/web.config /etc/asm/web.config
		for file in web-service.json admin-web.json; do
		    sed "s/web1/$me/g; s/10\.0\.0\.31/$ip/" deploy/settings/$file | install -m 640 -g asm /dev/stdin /etc/asm/$file
		done
		install -m 644 deploy/systemd/asm-web-service.service deploy/systemd/asm-admin-web.service /etc/systemd/system/
		systemctl daemon-reload
		systemctl enable --now asm-web-service asm-admin-web
		sleep 3
		curl --silent --show-error --fail --cacert /etc/asm/tls/ca.pem https://$me.example.internal:8443/readyz
		curl --silent --show-error --fail --cacert /etc/asm/tls/ca.pem https://$me.example.internal:8444/readyz
	sh
    sleep 3
    on ops curl --silent --show-error --fail --cacert /etc/asm/tls/ca.pem https://web.example.internal/readyz
    say "web services are ready, through the load balancer too"
}

# 6. Be told. The site's own mail server is a stand-in on the bridge; its authority is one that the machines trust.
told() {
    local key
    for key in pem key; do on ops cat /srv/asm-ca/smtp.$key >"$folder/smtp.$key"; done
    : >"$folder/mails"
    setsid /usr/bin/python3 "$repository/Tests/Mail/smtp_peer.py" --host 10.0.0.1 --port 587 --tls starttls \
        --certificate "$folder/smtp.pem" --key "$folder/smtp.key" --login "asm:$password" >>"$folder/mails" 2>&1 </dev/null &
    echo $! >"$folder/smtp.pid"
    each "ops asm1 asm2" <<<'cp /etc/asm/tls/ca.pem /usr/local/share/ca-certificates/site.crt && update-ca-certificates'
    each "asm1 asm2" <<<'systemctl restart asm-service'
    on asm1 <<-sh
		db='--config /etc/asm/service.json'
		echo $password >smtp-password
		asm events mail add --to oncall@example.org --from asm@example.org --server smtp.example.org --port 587 \
		    --use-tls yes --login asm --password-file smtp-password \$db
		asm events mail test default \$db
		asm events set 'Server Inactive' --use-default yes --log yes \$db
		asm events set 'Server Unlicensed' --use-default yes --log yes \$db
		echo $password >watch-password
		asm user add --customer 'Mercy Hospital' --count 2 'watch%d' --password-file watch-password \$db
	sh
    on ops <<-sh
		install -m 644 deploy/settings/watch.json /etc/asm/watch.json
		echo $password | install -m 600 -o asm /dev/stdin /etc/asm/watch-password
		echo $password | install -m 600 -o asm /dev/stdin /etc/asm/watch-mail-password
		install -m 644 deploy/systemd/asm-watch.service /etc/systemd/system/
		systemctl daemon-reload
		systemctl enable --now asm-watch
		for second in {1..30}; do [[ ! -s /var/lib/asm-watch/status.json ]] || break; sleep 1; done
		cat /var/lib/asm-watch/status.json; echo
	sh
    grep -q 'This is a test message' "$folder/mails"
    say "the test e-mail came; the watch looks"
}

# 7. Prove it: a drill from outside while things are taken down.
users() {
    on asm1 <<-sh
		echo $password >drill-password
		asm user add --customer 'Mercy Hospital' --count 12 'drill%d' --password-file drill-password --config /etc/asm/service.json
	sh
    on ops <<<"echo $password >drill-password"
}

# drill NAME SECONDS MAXGAP WEB…: starts one; drilled waits for its verdict.
drill() {
    on ops asm drill --web "$4" --ca /etc/asm/tls/ca.pem --customer 'Mercy Hospital' --password-file drill-password \
        --token-cache drill-tokens --users 12 --seconds "$2" --max-gap "$3" --html "drill-$1.html" >"$folder/drill-$1" 2>&1 &
    drill=$!; drill_name=$1; drill_began=$SECONDS
    sleep 10
}
at() { while (( SECONDS - drill_began < $1 )); do sleep 0.2; done; [[ -z ${2:-} ]] || say "$2"; }
drilled() {
    local status=0; wait "$drill" || status=$?
    grep -E '^(PASS|FAIL)|^sent|^lost|^not shown|^reconnects|^longest|^Interruption|stood still through|gap p50|everything that' \
        "$folder/drill-$drill_name" || tail -30 "$folder/drill-$drill_name"
    say "drill $drill_name: exit status $status"
    return $status
}
direct=https://web1.example.internal:8443,https://web2.example.internal:8443
through=https://web.example.internal

prove_servers() {
    drill servers 75 35 "$direct,$through"
    at 10 "kill -9 of the ASM Service on asm1"; on asm1 systemctl kill -s KILL asm-service
    at 25 "kill -9 of the Web Service on web1"; on web1 systemctl kill -s KILL asm-web-service
    at 40 "the network of web2 is pulled"; unplug web2
    at 55 "and is back"; plug web2
    drilled
}

prove_balancers() {
    local balancer; balancer=$(holder)
    # Nothing but the common address: who has another one does not need it any more after the first loss.
    drill balancers 75 35 "$through"
    at 10 "kill -9 of HAProxy on $balancer, which has the address; systemd starts it again"
    on "$balancer" systemctl kill -s KILL haproxy
    balancer=$(holder)
    at 22 "HAProxy is stopped on $balancer"; on "$balancer" systemctl stop haproxy
    at 32; say "the address is at $(holder)"; on "$balancer" systemctl start haproxy
    balancer=$(holder)
    at 42 "power off: $balancer"; power_off "$balancer"
    at 52; say "the address is at $(holder)"; power_on "$balancer"
    drilled
}

prove_database() {
    local database; database=$(primary)
    drill database 110 35 "$direct,$through"
    at 10 "power off: $database, the database's leader"; power_off "$database"
    at 55; say "the leader is $(primary); power on: $database"; power_on "$database"
    drilled
    until_synchronous
}

# Maintenance without an outage.
maintenance() {
    drill maintenance 90 3 "$direct,$through"
    at 10 "asm drain of asm1"; on asm2 asm drain 10.0.0.11:7400 --wait --config /etc/asm/service.json
    at 20; say "asm1 is $(on asm1 systemctl is-active asm-service || true); it is started again"; on asm1 systemctl start asm-service
    for machine in asm1 asm2; do at 30 "restart of the ASM Service on $machine"; on $machine systemctl restart asm-service; sleep 5; done
    for machine in web1 web2; do at 45 "restart of the Web Service on $machine"; on $machine systemctl restart asm-web-service; sleep 5; done
    drilled
}

# nginx in place of HAProxy, on both balancers.
nginx() {
    each "lb1 lb2" <<-'sh'
		systemctl disable --now haproxy
		apt-get install -y nginx
		mkdir -p -m 700 /etc/nginx/certs
		cp /etc/asm/tls/web.pem /etc/nginx/certs/asm.pem
		cp /etc/asm/tls/web.key /etc/nginx/certs/asm.key
		install -m 644 deploy/nginx/asm.conf /etc/nginx/conf.d/asm.conf
		nginx -t && systemctl restart nginx
	sh
    sleep 5
    on ops <<-'sh'
		curl --silent --show-error --fail --cacert /etc/asm/tls/ca.pem --cookie-jar jar https://web.example.internal/readyz
		grep asm_route jar
	sh
    drill nginx 60 35 "$through"
    at 12 "kill -9 of the Web Service on web1"; on web1 systemctl kill -s KILL asm-web-service
    local balancer; balancer=$(holder)
    at 30 "power off: $balancer"; power_off "$balancer"
    at 40; say "the address is at $(holder)"; power_on "$balancer"
    drilled
}

# --- All of it ----------------------------------------------------------------------------------------------------------

all="machines program certificates balancers databases services webs told users prove_servers prove_balancers prove_database maintenance nginx"
(( $# <= 1 )) || { shift; for step in "$@"; do $step; done; exit; }
trap down EXIT
for step in $all; do
    began=$SECONDS; say "== $step"; "$step"; say "== $step took $((SECONDS - began)) s"
done
say "passed: every step and every drill"
