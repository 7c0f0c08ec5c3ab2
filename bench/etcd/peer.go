package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// readyWithin is generous: a JVM on a loaded machine of two cores starts in 10 seconds.
	readyWithin = time.Minute
	probeEvery  = 50 * time.Millisecond
	// etcdQuota is the largest that etcd supports; at its default of 2 GB it would stop accepting puts.
	etcdQuota = 8 << 30
)

// peer is a server that is compared, on one kind of storage.
type peer struct {
	name     string // for --peers
	title    string
	program  string
	postgres bool
	// args of the program: it listens on the ports (etcd on both) and stores in the folder or database.
	args func(o *options, ports [2]int, folder, database string) []string
}

var peers = []peer{
	{name: "etcd", title: "etcd", program: "etcd", args: etcdArgs},
	{name: "kine-sqlite", title: "kine on SQLite", program: "kine",
		args: func(o *options, ports [2]int, folder, _ string) []string {
			// kine's own parameters (DefaultParams), but for synchronous.
			return kineArgs(ports, fmt.Sprintf("sqlite://%s?_journal_mode=WAL&_busy_timeout=30000"+
				"&_synchronous=%s&_txlock=immediate&_stmt_cache_size=20&cache=shared",
				filepath.Join(folder, "state.db"), o.kineSynchronous))
		}},
	{name: "kine-postgres", title: "kine on PostgreSQL", program: "kine", postgres: true,
		args: func(o *options, ports [2]int, _, database string) []string {
			return append(kineArgs(ports, database),
				fmt.Sprintf("--datastore-max-open-connections=%d", o.kineConnections))
		}},
	{name: "harikube-sqlite", title: "HariKube on SQLite", program: "harikube",
		args: func(_ *options, ports [2]int, folder, _ string) []string {
			return harikubeArgs(ports, "sqlite://"+filepath.Join(folder, "state.db"))
		}},
	{name: "harikube-postgres", title: "HariKube on PostgreSQL", program: "harikube", postgres: true,
		args: func(_ *options, ports [2]int, _, database string) []string {
			return harikubeArgs(ports, database)
		}},
}

func peerNames() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

func etcdArgs(_ *options, ports [2]int, folder, _ string) []string {
	client, members := "http://"+local(ports[0]), "http://"+local(ports[1])
	return []string{
		"--data-dir=" + folder, "--log-level=warn", fmt.Sprintf("--quota-backend-bytes=%d", etcdQuota),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + members, "--initial-advertise-peer-urls=" + members,
		"--initial-cluster=default=" + members,
	}
}

func kineArgs(ports [2]int, endpoint string) []string {
	return []string{"--endpoint=" + endpoint, "--listen-address=" + local(ports[0]), "--metrics-bind-address=0"}
}

func harikubeArgs(ports [2]int, endpoint string) []string {
	return append([]string{"server"}, kineArgs(ports, endpoint)...)
}

func local(port int) string {
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// instance is a peer that runs on fresh data.
type instance struct {
	*process
	address string
	folder  string
	run     func() error // starts it on what is in the folder
	drop    func()       // its database
}

// start returns when the peer answers. Every start has a log of its own, which stays.
func (b *bench) start(ctx context.Context, p peer) (_ *instance, err error) {
	b.starts++
	label := fmt.Sprintf("%03d-%s", b.starts, p.name)
	i := &instance{folder: filepath.Join(b.options.out, "data", label), drop: func() {}}
	defer func() {
		if err != nil {
			i.close()
		}
	}()
	if err := os.MkdirAll(i.folder, 0o700); err != nil {
		return nil, err
	}
	var database string
	if p.postgres {
		if database, i.drop, err = b.postgres.create(ctx); err != nil {
			i.drop = func() {}
			return nil, err
		}
		// libpq and ours do without TLS where there is none; kine has to be told.
		if p.program == "kine" && !strings.Contains(database, "sslmode=") {
			database = withParameter(database, "sslmode=disable")
		}
	}
	ports, err := freePorts()
	if err != nil {
		return nil, err
	}
	i.address = local(ports[0])
	i.run = func() error {
		i.process, err = startProcess(filepath.Join(b.options.bin, p.program), i.folder,
			filepath.Join(b.options.out, "logs", label+".log"), p.args(b.options, ports, i.folder, database)...)
		return err
	}
	if err := i.run(); err != nil {
		return nil, err
	}
	return i, i.await(ctx)
}

func withParameter(address, parameter string) string {
	if strings.Contains(address, "?") {
		return address + "&" + parameter
	}
	return address + "?" + parameter
}

// await returns nil once the peer answers a get.
func (i *instance) await(ctx context.Context) error {
	client, err := connect(i.address)
	if err != nil {
		return err
	}
	defer client.Close()
	for deadline := time.Now().Add(readyWithin); ; {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		_, err := client.Get(attempt, "/ready")
		cancel()
		switch {
		case err == nil:
			return nil
		case i.exited():
			return i.exitError()
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("%s does not answer after %s: %w; the end of its log:\n%s", i.name, readyWithin, err, i.tail())
		}
		select {
		case <-time.After(probeEvery):
		case <-i.done:
		}
	}
}

// close leaves nothing behind that could slow the next peer: no process, no data, nothing to write back.
func (i *instance) close() {
	if i.process != nil {
		i.stop()
	}
	i.drop()
	_ = os.RemoveAll(i.folder)
	syscall.Sync()
}

func connect(address string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 5 * time.Second, Logger: silent})
}

// freePorts returns different ports that nobody listened on a moment ago.
func freePorts() (ports [2]int, err error) {
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports, err
		}
		defer listener.Close() // only now: or the next one could get the same
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
