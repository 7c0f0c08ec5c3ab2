// Command integration runs Kubernetes' own integration tests, unmodified, on a store of our choice. The
// Kubernetes that they test is the one with our patch.
//
// These tests start real API servers in the test process and take their store from
// KUBE_INTEGRATION_ETCD_URL. Every package gets a store of its own, and finds an executable named etcd
// in PATH that starts more of the same kind. What fails on etcd itself, for reasons of this
// environment, is known from etcd-failures.txt, which -report writes from what was run.
//
// With -apart every test has a store of its own, and its API servers the usual prefix: HariKube knows the objects of one prefix
// only. With -labelled the API servers also put the label that hides objects from garbage collectors on all that is created.
package main

import (
	"context"
	"errors"
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

	"harikube/conformance/storage/gotest"
	"harikube/conformance/storage/source"
	"harikube/conformance/storage/store"
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
	apart      bool
	labelled   bool
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
	flag.BoolVar(&o.apart, "apart", false, "a store for each test, with the usual prefix")
	flag.BoolVar(&o.labelled, "labelled", false, "the same, and label what is created; for packages that create custom resources, on HariKube")
	flag.StringVar(&o.build, "build", "../../build", "where executables and results are kept")
	flag.BoolVar(&o.json, "json", false, "print what go test -json prints")
	reportTo := flag.String("report", "", "write the kept results into this document instead of running anything")
	flag.Parse()
	o.apart = o.apart || o.labelled

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
	if o.labelled && o.store == "etcd" {
		return false, errors.New("etcd collects nothing of what -labelled hides from Kubernetes")
	}
	overlay := ""
	if o.apart {
		if overlay, err = writeOverlay(tree, filepath.Join(work, o.variant()), o.labelled); err != nil {
			return false, err
		}
	}

	var results []gotest.Result
	for _, name := range strings.Split(o.packages, ",") {
		if o.resume && o.run == "" {
			r := gotest.Result{Package: prefix + name, Kubernetes: o.kubernetes, Store: o.store, Variant: o.variant()}
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
		r, err := runPackage(ctx, o, s, name, work, tree, modFile, overlay)
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
		r.Kubernetes, r.Variant = o.kubernetes, o.variant()
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

// variant is how the tests are run if that is not as usual.
func (o options) variant() string {
	switch {
	case o.labelled:
		return "labelled"
	case o.apart:
		return "apart"
	default:
		return ""
	}
}

func runPackage(ctx context.Context, o options, s store.Store, name, work, tree, modFile, overlay string) (gotest.Result, error) {
	fmt.Printf("compiling %s\n", name)
	file := strings.ReplaceAll(name, "/", "_")
	if o.apart {
		file += "_" + o.variant()
	}
	binary := filepath.Join(work, "bin", file+".test")
	if err := store.Go(ctx, versions, "test", "-modfile", modFile, "-overlay", overlay, "-c", "-o", binary, prefix+name); err != nil {
		return gotest.Result{}, err
	}
	// Not below the build folder: tests make Unix sockets there, whose paths must be short.
	temp, err := os.MkdirTemp("", "integration")
	if err != nil {
		return gotest.Result{}, err
	}
	defer os.RemoveAll(temp)

	labelled := filepath.Join(temp, "labelled")
	b := gotest.Binary{
		Path:    binary,
		Package: prefix + name,
		Dir:     filepath.Join(tree, "test", "integration", name),
		Env: append(s.Env,
			"PATH="+filepath.Dir(s.Executable)+":"+os.Getenv("PATH"),
			"HARIKUBE_LABELLED="+labelled,
			"TMPDIR="+temp),
		Run:     o.run,
		Timeout: o.timeout,
		Log:     filepath.Join(work, "logs", o.store, file+".log"),
	}
	progress := io.Writer(os.Stdout)
	if o.json {
		b.Events, progress = os.Stdout, os.Stderr
	}
	fmt.Printf("running %s on %s; all output: %s\n", name, o.store, b.Log)
	if !o.apart {
		return runOn(ctx, s, temp, b, progress)
	}

	result := gotest.Result{Package: b.Package, Store: o.store}
	tests, err := b.List(ctx)
	if err != nil {
		return result, err
	}
	for _, test := range tests {
		one := b
		one.Log = filepath.Join(work, "logs", o.store, file, test+".log")
		_, subtests, _ := strings.Cut(o.run, "/")
		one.Run = strings.TrimSuffix("^"+test+"$/"+subtests, "/")
		r, err := runOn(ctx, s, temp, one, progress)
		if err != nil {
			return result, err
		}
		result.Tests = append(result.Tests, r.Tests...)
		result.Seconds += r.Seconds
	}
	if o.labelled {
		counts, err := labels(labelled)
		fmt.Fprintln(progress, counts)
		if err != nil && o.run == "" {
			fmt.Fprintln(progress, "FAIL Labelled:", err)
			result.Tests = append(result.Tests, gotest.Test{Name: "Labelled", Outcome: gotest.Fail})
		}
	}
	return result, nil
}

// runOn runs tests on an empty store.
func runOn(ctx context.Context, s store.Store, temp string, b gotest.Binary, progress io.Writer) (gotest.Result, error) {
	folder, err := os.MkdirTemp(temp, "store")
	if err != nil {
		return gotest.Result{}, err
	}
	server, err := s.Start(ctx, folder)
	if err != nil {
		return gotest.Result{}, err
	}
	b.Env = append(slices.Clip(b.Env), "KUBE_INTEGRATION_ETCD_URL="+server.URL)
	result, err := b.Exec(ctx, s.Name, progress)
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
		return "", "", fmt.Errorf("there are integration tests of Kubernetes %s only, not of %s: see conformance/integration/kubernetes/go.mod",
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
