// Command integration runs Kubernetes' own integration tests, unmodified, on a store of our choice. The
// Kubernetes that they test is the one with our patch.
//
// These tests start real API servers in the test process and take their store from
// KUBE_INTEGRATION_ETCD_URL. Every package gets a store of its own, and finds an executable named etcd
// in PATH that starts more of the same kind. What fails on etcd itself, for reasons of this
// environment, is known from etcd-failures.txt, which -report writes from what was run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"harikube/e2e/storage/gotest"
	"harikube/e2e/storage/source"
	"harikube/e2e/storage/store"
)

const (
	prefix   = "k8s.io/kubernetes/test/integration/"
	versions = "kubernetes" // folder of the go.mod that the tests are compiled with
)

// packages are those that exercise the store: what it must keep, order, watch and collect. The others
// test the scheduler, controllers and API machinery above it.
var packages = []string{
	"garbagecollector", "namespace", "apimachinery", "etcd", "apiserver", "client", "quota", "dryrun",
	"serviceaccount", "controlplane",
}

type options struct {
	store      string
	kubernetes string
	packages   string
	run        string
	timeout    time.Duration
	resume     bool
	build      string
	json       bool
}

func main() {
	var o options
	flag.StringVar(&o.store, "store", "sqlite", "etcd, sqlite or postgres")
	flag.StringVar(&o.kubernetes, "kubernetes", "1.37", "minor version")
	flag.StringVar(&o.packages, "packages", strings.Join(packages, ","), "below "+prefix+", separated by commas")
	flag.StringVar(&o.run, "run", "", "only the tests that match, as of go test -run; the result is not kept")
	flag.DurationVar(&o.timeout, "timeout", 30*time.Minute, "for a package")
	flag.BoolVar(&o.resume, "resume", false, "leave out packages that have a result")
	flag.StringVar(&o.build, "build", "../../build", "where executables and results are kept")
	flag.BoolVar(&o.json, "json", false, "print what go test -json prints")
	reportTo := flag.String("report", "", "write the kept results into this document instead of running anything")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := false, error(nil)
	if *reportTo != "" {
		err = report(filepath.Join(o.build, "conformance"), *reportTo)
	} else {
		failed, err = run(ctx, o)
	}
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration tests:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// run says whether a test failed that does not fail on etcd.
func run(ctx context.Context, o options) (failed bool, err error) {
	build, err := filepath.Abs(o.build)
	if err != nil {
		return false, err
	}
	s, err := store.Find(ctx, o.store, "../storage", build)
	if err != nil {
		return false, err
	}
	known, err := readFailures(failuresFile)
	if err != nil {
		return false, err
	}
	work := filepath.Join(build, "integration-tests")
	tree, modFile, err := patched(ctx, o.kubernetes, build, work)
	if err != nil {
		return false, err
	}

	var results []gotest.Result
	for _, name := range strings.Split(o.packages, ",") {
		if o.resume && o.run == "" {
			r := gotest.Result{Package: prefix + name, Kubernetes: o.kubernetes, Store: o.store}
			r, ok, err := r.Load(filepath.Join(build, "conformance"))
			if err != nil {
				return false, err
			}
			if ok {
				fmt.Printf("%s has a result\n", name)
				results = append(results, r)
				continue
			}
		}
		r, err := runPackage(ctx, o, s, name, work, tree, modFile)
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		r.Kubernetes = o.kubernetes
		if o.run == "" {
			if err := r.Save(filepath.Join(build, "conformance")); err != nil {
				return false, err
			}
		}
		results = append(results, r)
	}

	for _, r := range results {
		fmt.Println(r)
		for _, test := range r.Failed() {
			if slices.Contains(known, r.Package+" "+test) {
				fmt.Printf("  %s: fails on etcd, too\n", test)
			} else {
				fmt.Printf("  %s: FAILED\n", test)
				failed = true
			}
		}
	}
	return failed, nil
}

func runPackage(ctx context.Context, o options, s store.Store, name, work, tree, modFile string) (gotest.Result, error) {
	fmt.Printf("compiling %s\n", name)
	binary := filepath.Join(work, "bin", strings.ReplaceAll(name, "/", "_")+".test")
	if err := store.Go(ctx, versions, "test", "-modfile", modFile, "-c", "-o", binary, prefix+name); err != nil {
		return gotest.Result{}, err
	}
	// Not below the build folder: tests make Unix sockets there, whose paths must be short.
	temp, err := os.MkdirTemp("", "integration")
	if err != nil {
		return gotest.Result{}, err
	}
	defer os.RemoveAll(temp)

	server, err := s.Start(ctx, filepath.Join(temp, "store"))
	if err != nil {
		return gotest.Result{}, err
	}
	b := gotest.Binary{
		Path:    binary,
		Package: prefix + name,
		Dir:     filepath.Join(tree, "test", "integration", name),
		Env: append(s.Env,
			"KUBE_INTEGRATION_ETCD_URL="+server.URL,
			"PATH="+filepath.Dir(s.Executable)+":"+os.Getenv("PATH"),
			"TMPDIR="+temp),
		Run:     o.run,
		Timeout: o.timeout,
		Log:     filepath.Join(work, "logs", o.store, strings.ReplaceAll(name, "/", "_")+".log"),
	}
	fmt.Printf("running %s on %s; all output: %s\n", name, o.store, b.Log)
	progress := io.Writer(os.Stdout)
	if o.json {
		b.Events, progress = os.Stdout, os.Stderr
	}
	result, err := b.Exec(ctx, o.store, progress)
	if stopErr := server.Stop(); err == nil && stopErr != nil {
		// A store that ended on its own, or does not end, is a failure of its own.
		fmt.Println(stopErr)
		result.Tests = append(result.Tests, gotest.Test{Name: "StopStore", Outcome: gotest.Fail})
	}
	return result, err
}

// executables are the files that Kubernetes' repository has as executable; the zip files of Go modules
// keep no such bit.
var executables = []string{"client/testdata/exec-plugin.sh"}

// patched returns the folder of the Kubernetes with our patch that the tests are of, and the go.mod to
// compile them with.
func patched(ctx context.Context, minor, build, work string) (tree, modFile string, err error) {
	version, err := source.Version(ctx, versions)
	if err != nil {
		return "", "", err
	}
	k, err := source.Patched(ctx, "../..", build, minor)
	if err != nil {
		return "", "", err
	}
	if k.Version != version {
		return "", "", fmt.Errorf("there are integration tests of Kubernetes %s only, not of %s: see e2e/integration/kubernetes/go.mod",
			version, k.Version)
	}
	for _, file := range executables {
		if err := os.Chmod(filepath.Join(k.Dir, "test", "integration", file), 0o755); err != nil {
			return "", "", err
		}
	}
	modFile, err = k.ModFile(ctx, filepath.Join(versions, "go.mod"), work)
	return k.Dir, modFile, err
}
