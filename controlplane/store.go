package controlplane

import (
	"net/url"
	"path/filepath"
)

// Store is a server of the etcd API that keeps the API server's data.
type Store interface {
	// command returns the program, from the folder of programs, and its arguments.
	command(serving) command
}

// command is a program from the folder of programs, with what it has beyond this program's environment.
type command struct {
	program string
	args    []string
	env     []string
}

// serving is how a store is reached and where it may put files.
type serving struct {
	data, address, metricsAddress string
	clientCA, cert, key           string
}

// HariKube keeps the data in the database of an endpoint, such as postgres://user@host/database. The
// empty endpoint is a SQLite file in the data folder.
type HariKube struct {
	Endpoint string
}

func (h HariKube) command(s serving) command {
	endpoint := h.Endpoint
	if endpoint == "" {
		file := url.URL{Scheme: "sqlite", Path: filepath.Join(s.data, "harikube.db")}
		endpoint = file.String()
	}
	return command{program: "harikube", args: []string{
		"server",
		"--listen-address=" + s.address,
		"--metrics-bind-address=" + s.metricsAddress,
		"--server-cert-file=" + s.cert,
		"--server-key-file=" + s.key,
		"--trusted-ca-file=" + s.clientCA,
	}, env: []string{"HARIKUBE_ENDPOINT=" + endpoint}} // which may have a password: everyone sees arguments
}

// Etcd is the store that Kubernetes was made for. The tests run on it as well: a test that fails there
// asks for something that Kubernetes does not promise.
type Etcd struct{}

func (Etcd) command(s serving) command {
	const peer = "http://127.0.0.1:0" // alone in its cluster: any free port
	return command{program: "etcd", args: []string{
		"--data-dir=" + filepath.Join(s.data, "etcd"),
		"--listen-client-urls=https://" + s.address,
		"--advertise-client-urls=https://" + s.address,
		"--listen-metrics-urls=http://" + s.metricsAddress,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--cert-file=" + s.cert,
		"--key-file=" + s.key,
		"--trusted-ca-file=" + s.clientCA,
		"--client-cert-auth",
	}}
}

// Kine is kine on a SQLite file in the data folder, to compare.
type Kine struct{}

func (Kine) command(s serving) command {
	return command{program: "kine", args: []string{
		// Its own parameters, but for synchronous: it is to keep what it has acknowledged.
		"--endpoint=sqlite://" + filepath.Join(s.data, "kine.db") + "?_journal_mode=WAL&_busy_timeout=30000" +
			"&_synchronous=FULL&_txlock=immediate&_stmt_cache_size=20&cache=shared",
		"--listen-address=" + s.address,
		"--metrics-bind-address=0",
		"--server-cert-file=" + s.cert,
		"--server-key-file=" + s.key,
		"--trusted-ca-file=" + s.clientCA,
	}}
}
