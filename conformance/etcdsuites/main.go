// Command etcdsuites runs the tests that etcd's authors wrote for etcd's clients, unmodified, against a
// server in a process of its own: a real etcd, or HariKube on SQLite or PostgreSQL.
//
// It copies go.etcd.io/etcd/tests out of the module cache, puts the files of testdata in the place of
// those through which the tests start their servers, compiles the test packages and runs them.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lib/pq"

	"harikube/conformance/storage/gotest"
	"harikube/conformance/storage/source"
	"harikube/conformance/storage/store"
)

const (
	module  = "go.etcd.io/etcd/tests/v3"
	version = "v3.6.14"
	// databases begin with this, and are dropped after the package that made them.
	databases = "etcd_suites_"
	// quickStart is for processes that live for a second: no second compiler, one thread for the heap.
	quickStart = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable"
)

// packages are those whose tests speak to a server as a client does, in the order of their time.
var packages = []string{
	"integration/clientv3", "integration/clientv3/lease", "integration", "common",
	"integration/clientv3/concurrency", "integration/clientv3/connectivity",
	"integration/clientv3/examples", "integration/clientv3/experimental/recipes",
	"integration/clientv3/naming", "integration/proxy/grpcproxy",
}

type options struct {
	store    string
	packages string
	run      string
	timeout  time.Duration
	spares   int
	build    string
	json     bool
}

func main() {
	var o options
	flag.StringVar(&o.store, "store", "sqlite", "etcd, sqlite or postgres")
	flag.StringVar(&o.packages, "packages", strings.Join(packages, ","), "of "+module+", separated by commas")
	flag.StringVar(&o.run, "run", "", "only the tests that match, as of go test -run; the result is not kept")
	flag.DurationVar(&o.timeout, "timeout", 20*time.Minute, "for a package")
	flag.IntVar(&o.spares, "spares", 1, "servers that are started ahead of the tests that use them")
	flag.StringVar(&o.build, "build", "../../build", "where executables, copies and results are kept")
	flag.BoolVar(&o.json, "json", false, "print what go test -json prints")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := run(ctx, o)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcd's tests:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (failed bool, err error) {
	build, err := filepath.Abs(o.build)
	if err != nil {
		return false, err
	}
	work := filepath.Join(build, "etcd-suites")
	server, err := findServer(o.store, build)
	if err != nil {
		return false, err
	}
	tests, err := prepare(ctx, work)
	if err != nil {
		return false, err
	}

	if o.store != "etcd" {
		if os.Getenv("HARIKUBE_JAVA_OPTS") == "" {
			os.Setenv("HARIKUBE_JAVA_OPTS", quickStart)
		}
	}

	var events io.Writer
	progress := io.Writer(os.Stdout)
	if o.json {
		events, progress = os.Stdout, os.Stderr
	}
	var results []gotest.Result
	all := strings.Split(o.packages, ",")
	for _, pkg := range all {
		r, err := runPackage(ctx, o, pkg, server, tests, work, events, progress)
		if errors.Is(err, gotest.ErrNoMatch) && len(all) > 1 {
			continue
		}
		if err != nil {
			return false, err
		}
		failed = failed || len(r.Failed()) > 0
		if o.store != "etcd" && o.run == "" {
			for _, test := range names(different, pkg, o.store) {
				r.Tests = append(r.Tests, gotest.Test{Name: test, Outcome: gotest.Fail})
			}
		}
		if o.run == "" {
			if err := r.Save(filepath.Join(build, "conformance")); err != nil {
				return false, err
			}
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return false, fmt.Errorf("%w %q", gotest.ErrNoMatch, o.run)
	}
	for _, r := range results {
		fmt.Fprintln(progress, r)
		if names := r.Failed(); len(names) > 0 {
			fmt.Fprintf(progress, "  failed: %s\n", strings.Join(names, " "))
		}
	}
	return failed, nil
}

func runPackage(ctx context.Context, o options, pkg, server, tests, work string, events, progress io.Writer) (gotest.Result, error) {
	name := strings.ReplaceAll(pkg, "/", "_")
	binary := filepath.Join(work, "bin", name+".test")
	fmt.Fprintf(progress, "compiling %s\n", path.Join(module, pkg))
	// The tag chooses the clients of package common: Go's, not etcdctl.
	if err := store.Go(ctx, tests, "test", "-tags", "integration", "-c", "-o", binary, "./"+pkg); err != nil {
		return gotest.Result{}, err
	}

	// Emptied first: a run that was killed leaves something. Not below the build folder, as tests make
	// Unix sockets in TMPDIR, whose paths must be short.
	logs := filepath.Join(work, "logs", o.store, name)
	if err := errors.Join(os.RemoveAll(logs), os.MkdirAll(logs, 0o755)); err != nil {
		return gotest.Result{}, err
	}
	temp, err := os.MkdirTemp("", "etcd-")
	if err != nil {
		return gotest.Result{}, err
	}
	defer os.RemoveAll(temp)
	if o.store == "postgres" {
		defer func() {
			if err := dropDatabases(); err != nil {
				fmt.Fprintln(os.Stderr, "databases stay behind:", err)
			}
		}()
	}

	skip := names(excluded, pkg, o.store)
	if o.store != "etcd" {
		skip = append(skip, names(different, pkg, o.store)...)
	}
	b := gotest.Binary{
		Path:    binary,
		Package: path.Join(module, pkg),
		Dir:     filepath.Join(tests, pkg),
		Env: []string{
			"ETCD_SUITES_STORE=" + o.store,
			"ETCD_SUITES_SERVER=" + server,
			"ETCD_SUITES_SPARES=" + strconv.Itoa(o.spares),
			"ETCD_SUITES_LOGS=" + logs,
			"ETCD_SUITES_DATA=" + temp,
			"ETCD_SUITES_DATABASES=" + databases,
			"TMPDIR=" + temp,
		},
		Run:     o.run,
		Skip:    skip,
		Timeout: o.timeout,
		Log:     filepath.Join(logs, "tests.log"),
		Events:  events,
	}
	r, err := b.Exec(ctx, o.store, progress)
	if len(r.Failed()) > 0 {
		fmt.Fprintln(progress, "all output:", b.Log)
	}
	return r, err
}

// names are the tests of a package that a list has for a store.
func names(list []listed, pkg, store string) []string {
	var all []string
	for _, entry := range list {
		if entry.pkg == pkg && entry.isFor(store) {
			all = append(all, strings.Fields(entry.tests)...)
		}
	}
	return all
}

func findServer(name, build string) (string, error) {
	variable, executable := "HARIKUBE_BIN", "harikube"
	switch name {
	case "sqlite":
	case "postgres":
		if os.Getenv("HARIKUBE_TEST_POSTGRES") == "" {
			return "", errors.New("HARIKUBE_TEST_POSTGRES is not set: the postgres:// URL of a server in which databases may be made")
		}
	case "etcd":
		variable, executable = "ETCD_BIN", "etcd"
	default:
		return "", fmt.Errorf("unknown store %q: etcd, sqlite or postgres", name)
	}
	found, err := filepath.Abs(filepath.Join(build, "bin", executable))
	if v := os.Getenv(variable); v != "" {
		found, err = filepath.Abs(v)
	}
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(found); err != nil {
		return "", fmt.Errorf("%w (%s names another one)", err, variable)
	}
	return found, nil
}

// prepare returns a copy of the module in which the tests reach the server of our choice. Its go.mod is
// ours, too: the module's own looks for etcd's other modules in the folders beside it.
func prepare(ctx context.Context, work string) (string, error) {
	copied := filepath.Join(work, "tests-"+version)
	if err := source.Copy(ctx, ".", module, version, copied); err != nil {
		return "", err
	}
	ours, err := filepath.Glob("testdata/framework/integration/*.go")
	if err != nil {
		return "", err
	}
	for _, file := range append(ours, "testdata/go.mod", "testdata/go.sum") {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		place, err := filepath.Rel("testdata", file)
		if err != nil {
			return "", err
		}
		place = filepath.Join(copied, place)
		if err := os.WriteFile(place, text, 0o644); err != nil {
			return "", err
		}
	}
	return copied, nil
}

// dropDatabases drops what the servers of a package have left.
func dropDatabases() error {
	server, err := url.Parse(os.Getenv("HARIKUBE_TEST_POSTGRES"))
	if err != nil {
		return err
	}
	// PostgreSQL's own clients and JDBC take "prefer" for the default, this driver "require".
	if q := server.Query(); !q.Has("sslmode") {
		q.Set("sslmode", "prefer")
		server.RawQuery = q.Encode()
	}
	db, err := sql.Open("postgres", server.String())
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.Query("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", databases)
	if err != nil {
		return err
	}
	defer rows.Close()
	var left []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		left = append(left, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range left {
		if _, err := db.Exec("DROP DATABASE IF EXISTS " + pq.QuoteIdentifier(name) + " WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}
