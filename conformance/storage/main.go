// Command storage runs Kubernetes' own storage tests, unmodified, against a server in a process of its
// own: a real etcd, or HariKube on SQLite or PostgreSQL.
//
// It lays out the Kubernetes of a minor version with our patch, compiles the test packages with
// testdata/test_server.go in the place of the one file through which the tests reach their server, and
// testdata/recorder.go beside it, and runs them.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"harikube/conformance/storage/gotest"
	"harikube/conformance/storage/source"
	"harikube/conformance/storage/store"
)

const (
	module     = "k8s.io/apiserver"
	testServer = "pkg/storage/etcd3/testserver"
	repository = "../.."
)

// recorders counts the reads as the minor versions have it that differ from the newest.
var recorders = map[string]string{"1.34": "recorder_1.36.go", "1.35": "recorder_1.36.go", "1.36": "recorder_1.36.go"}

type options struct {
	store      string
	kubernetes string
	packages   string
	run        string
	timeout    time.Duration
	spares     int
	build      string
	json       bool
}

func main() {
	var o options
	flag.StringVar(&o.store, "store", "sqlite", "etcd, sqlite or postgres")
	flag.StringVar(&o.kubernetes, "kubernetes", "1.37", "minor version")
	flag.StringVar(&o.packages, "packages", "pkg/storage/etcd3", "packages of "+module+", separated by commas")
	flag.StringVar(&o.run, "run", "", "only the tests that match, as of go test -run; the result is not kept")
	flag.DurationVar(&o.timeout, "timeout", 15*time.Minute, "for a package")
	flag.IntVar(&o.spares, "spares", 1, "servers that are started ahead of the tests that use them")
	flag.StringVar(&o.build, "build", "../../build", "where executables, copies and results are kept")
	flag.BoolVar(&o.json, "json", false, "print what go test -json prints")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := run(ctx, o)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "storage tests:", err)
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
	work := filepath.Join(build, "storage-tests", o.kubernetes)
	server, err := store.Find(ctx, o.store, ".", build)
	if err != nil {
		return false, err
	}
	tree, err := source.Patched(ctx, repository, build, o.kubernetes)
	if err != nil {
		return false, err
	}
	apiserver := filepath.Join(tree.Dir, "staging", "src", module)
	modFile, err := tree.ModFile(ctx, filepath.Join(apiserver, "go.mod"), work)
	if err != nil {
		return false, err
	}
	overlay, err := writeOverlay(work, filepath.Join(apiserver, testServer), map[string]string{
		"test_server.go": "test_server.go",
		"recorder.go":    cmp.Or(recorders[o.kubernetes], "recorder.go"),
	})
	if err != nil {
		return false, err
	}

	// The data of the servers; emptied first, as a run that was killed leaves it.
	temp := filepath.Join(work, "tmp", o.store)
	if err := os.RemoveAll(temp); err != nil {
		return false, err
	}
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return false, err
	}
	defer os.RemoveAll(temp)

	var events io.Writer
	progress := io.Writer(os.Stdout)
	if o.json {
		events, progress = os.Stdout, os.Stderr
	}
	var results []gotest.Result
	for _, pkg := range strings.Split(o.packages, ",") {
		binary := filepath.Join(work, strings.ReplaceAll(pkg, "/", "_")+".test")
		fmt.Fprintf(progress, "compiling %s of Kubernetes %s\n", path.Join(module, pkg), tree.Version)
		if err := store.Go(ctx, apiserver, "test", "-modfile", modFile, "-overlay", overlay,
			"-c", "-o", binary, "./"+pkg); err != nil {
			return false, err
		}
		b := gotest.Binary{
			Path:    binary,
			Package: path.Join(module, pkg),
			Dir:     filepath.Join(apiserver, pkg),
			Env: append(server.Env,
				"STORAGE_TEST_SERVER="+server.Executable,
				"STORAGE_TEST_SPARES="+strconv.Itoa(o.spares),
				"TMPDIR="+temp),
			Run:     o.run,
			Timeout: o.timeout,
			Log:     filepath.Join(work, "logs", o.store, strings.ReplaceAll(pkg, "/", "_")+".log"),
			Events:  events,
		}
		r, err := b.Exec(ctx, o.store, progress)
		if err != nil {
			return false, err
		}
		r.Kubernetes = o.kubernetes
		if o.run == "" {
			if err := r.Save(filepath.Join(build, "conformance")); err != nil {
				return false, err
			}
		}
		if names := r.Failed(); len(names) > 0 {
			failed = true
			fmt.Fprintf(progress, "failed: %s\nall output: %s\n", strings.Join(names, " "), b.Log)
		}
		results = append(results, r)
	}
	for _, r := range results {
		fmt.Fprintln(progress, r)
	}
	return failed, nil
}

// writeOverlay writes what go's option -overlay takes, with files of testdata in a folder.
func writeOverlay(work, folder string, files map[string]string) (string, error) {
	replace := map[string]string{}
	for name, by := range files {
		by, err := filepath.Abs(filepath.Join("testdata", by))
		if err != nil {
			return "", err
		}
		replace[filepath.Join(folder, name)] = by
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(work, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}
