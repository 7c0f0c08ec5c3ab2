// Command integration runs Kubernetes' own integration tests, unmodified, on a store of our choice.
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
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"harikube/e2e/storage/gotest"
	"harikube/e2e/storage/store"
)

const prefix = "k8s.io/kubernetes/test/integration/"

// packages are those that exercise the store: what it must keep, order, watch and collect. The others
// test the scheduler, controllers and API machinery above it.
var packages = []string{
	"garbagecollector", "namespace", "apimachinery", "etcd", "apiserver", "client", "quota", "dryrun",
	"serviceaccount", "controlplane",
}

type options struct {
	store    string
	packages string
	run      string
	timeout  time.Duration
	resume   bool
	build    string
	json     bool
}

func main() {
	var o options
	flag.StringVar(&o.store, "store", "sqlite", "etcd, sqlite or postgres")
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
	tree, err := sourceTree(ctx, work)
	if err != nil {
		return false, err
	}

	var results []gotest.Result
	for _, name := range strings.Split(o.packages, ",") {
		if o.resume && o.run == "" {
			r, ok, err := gotest.Load(filepath.Join(build, "conformance"), o.store, prefix+name)
			if err != nil {
				return false, err
			}
			if ok {
				fmt.Printf("%s has a result\n", name)
				results = append(results, r)
				continue
			}
		}
		r, err := runPackage(ctx, o, s, name, work, tree)
		if err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
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

func runPackage(ctx context.Context, o options, s store.Store, name, work, tree string) (gotest.Result, error) {
	fmt.Printf("compiling %s\n", name)
	binary := filepath.Join(work, "bin", strings.ReplaceAll(name, "/", "_")+".test")
	if err := store.Go(ctx, "kubernetes", "test", "-c", "-o", binary, prefix+name); err != nil {
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

// sourceTree lays out Kubernetes' modules as its repository has them: tests read files by paths like
// ../../../staging/src/k8s.io/api/testdata. The tests are copied, the rest is links into the module cache.
func sourceTree(ctx context.Context, work string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Version}} {{.Dir}}", "all")
	cmd.Dir, cmd.Stderr = "kubernetes", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list -m all: %w", err)
	}
	var version, kubernetes string
	staging := map[string]string{} // name to folder
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue // a module that no package needs is not in the cache
		}
		name, ours := strings.CutPrefix(fields[0], "k8s.io/")
		if name == "kubernetes" {
			version, kubernetes = fields[1], fields[2]
		} else if ours && !strings.Contains(name, "/") {
			staging[name] = fields[2]
		}
	}

	tree := filepath.Join(work, "kubernetes-"+version)
	if _, err := os.Stat(tree); err == nil {
		return tree, nil
	}
	// It gets its name when it is complete.
	partial := tree + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return "", err
	}
	if err := linkEntries(kubernetes, partial, "staging", "test"); err != nil {
		return "", err
	}
	if err := linkEntries(filepath.Join(kubernetes, "test"), filepath.Join(partial, "test"), "integration"); err != nil {
		return "", err
	}
	tests := filepath.Join("test", "integration")
	if err := os.CopyFS(filepath.Join(partial, tests), os.DirFS(filepath.Join(kubernetes, tests))); err != nil {
		return "", err
	}
	for _, file := range executables {
		if err := os.Chmod(filepath.Join(partial, tests, file), 0o755); err != nil {
			return "", err
		}
	}
	modules := filepath.Join(partial, "staging", "src", "k8s.io")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		return "", err
	}
	for name, dir := range staging {
		if err := os.Symlink(dir, filepath.Join(modules, name)); err != nil {
			return "", err
		}
	}
	return tree, os.Rename(partial, tree)
}

// linkEntries makes the folder to with a link to every entry of the folder from that is not left out.
func linkEntries(from, to string, except ...string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(except, e.Name()) {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
