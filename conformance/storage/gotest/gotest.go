// Package gotest runs compiled Go test binaries and keeps what came out of them.
//
// A test that was to run and has no result (the process crashed, ran out of time, or never came to
// it) is a failed test. Only top-level tests are counted.
package gotest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// hardStop is how much longer than its own time limit a binary may take.
const hardStop = time.Minute

// ErrNoMatch says that a package has no test of the names that were asked for.
var ErrNoMatch = errors.New("no test matches")

// Outcome is what a test ended with; the words are those of go test -json.
type Outcome string

const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// Test is one top-level test.
type Test struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Seconds float64 `json:"seconds"`
}

// Result is one run of a package against a store.
type Result struct {
	Package string  `json:"package"` // import path
	Store   string  `json:"store"`   // etcd, sqlite, postgres
	Seconds float64 `json:"seconds"`
	Tests   []Test  `json:"tests"`

	// Kubernetes is the minor version that a package of Kubernetes belongs to; our patch is part of it.
	Kubernetes string `json:"kubernetes,omitempty"`

	// Variant is a word for how the tests were run, if that is not as usual.
	Variant string `json:"variant,omitempty"`
}

// Count says how many tests ended this way.
func (r Result) Count(o Outcome) int {
	n := 0
	for _, t := range r.Tests {
		if t.Outcome == o {
			n++
		}
	}
	return n
}

// Failed lists the names of the failed tests in order.
func (r Result) Failed() []string {
	var names []string
	for _, t := range r.Tests {
		if t.Outcome == Fail {
			names = append(names, t.Name)
		}
	}
	return names
}

// String is the line that is counted in the end: "… 73 passed, 1 failed, 2 skipped (80 s)".
func (r Result) String() string {
	s := fmt.Sprintf("%s on %s: %d passed, %d failed", r.Title(), r.Store, r.Count(Pass), r.Count(Fail))
	if n := r.Count(Skip); n > 0 {
		s += fmt.Sprintf(", %d skipped", n)
	}
	return s + fmt.Sprintf(" (%.0f s)", r.Seconds)
}

// Title is the package, the version of Kubernetes that it is of, and the variant.
func (r Result) Title() string {
	title := r.Package
	for _, word := range []string{r.Kubernetes, r.Variant} {
		if word != "" {
			title += " " + word
		}
	}
	return title
}

func (r Result) file(dir string) string {
	return filepath.Join(dir, r.Store, strings.NewReplacer("/", "_", " ", "_").Replace(r.Title())+".json")
}

// Save keeps the result under dir until the next one of the same package, version and store.
func (r Result) Save(dir string) error {
	path := r.file(dir)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	// All or nothing: what is there is taken for a complete result.
	if err := os.WriteFile(path+".tmp", data, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// Load reads what Save kept of the same package, version and store; ok is false if there is nothing.
func (r Result) Load(dir string) (kept Result, ok bool, err error) {
	data, err := os.ReadFile(r.file(dir))
	if os.IsNotExist(err) {
		return r, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	return kept, err == nil, err
}

// Binary is a compiled test package and how to run it.
type Binary struct {
	Path    string
	Package string
	Dir     string   // working directory: tests read files of their package
	Env     []string // added to the environment of this process
	Run     string   // as of go test -run
	Skip    []string // names of tests and subtests that are not run
	Timeout time.Duration
	Log     string    // file for all output
	Events  io.Writer // if not nil: the lines of go test -json
}

// Exec runs the tests and prints a line about each as it ends. An error means that it could not
// run them at all; failed tests are in the result.
func (b Binary) Exec(ctx context.Context, store string, progress io.Writer) (Result, error) {
	result := Result{Package: b.Package, Store: store}
	ctx, cancel := context.WithTimeout(ctx, b.Timeout+hardStop)
	defer cancel()
	if err := os.MkdirAll(filepath.Dir(b.Log), 0o755); err != nil {
		return result, err
	}
	log, err := os.Create(b.Log)
	if err != nil {
		return result, err
	}
	defer log.Close()

	wanted, err := b.list(ctx, log)
	if err != nil {
		return result, fmt.Errorf("%s does not list its tests (see %s): %w", b.Package, b.Log, err)
	}

	begin := time.Now()
	tests := b.command(ctx, "-test.v=test2json", "-test.run="+b.Run, "-test.skip="+b.skipped(),
		"-test.timeout="+b.Timeout.String())
	tests.Stderr = log
	output, err := tests.StdoutPipe()
	if err != nil {
		return result, err
	}
	converter := exec.Command("go", "tool", "test2json", "-t", "-p", b.Package)
	converter.Stdin, converter.Stderr = output, os.Stderr
	events, err := converter.StdoutPipe()
	if err != nil {
		return result, err
	}
	if err := tests.Start(); err != nil {
		return result, err
	}
	if err := converter.Start(); err != nil {
		cancel()
		return result, err
	}

	ended := map[string]Test{}
	readErr := b.read(events, log, func(t Test) {
		ended[t.Name] = t
		fmt.Fprintf(progress, "%3d/%d %s %s (%.1f s)\n",
			len(ended), len(wanted), strings.ToUpper(string(t.Outcome)), t.Name, t.Seconds)
	})
	convertErr := converter.Wait()
	testsErr := tests.Wait()
	result.Seconds = time.Since(begin).Seconds()
	if err := ctx.Err(); err == context.Canceled {
		return result, err
	}
	if readErr != nil {
		return result, readErr
	}
	if convertErr != nil {
		return result, fmt.Errorf("go tool test2json: %w", convertErr)
	}

	for _, name := range wanted {
		t, ok := ended[name]
		if !ok {
			t = Test{Name: name, Outcome: Fail}
			fmt.Fprintf(progress, "FAIL %s (it has no result: %v)\n", name, testsErr)
		}
		result.Tests = append(result.Tests, t)
	}
	if testsErr != nil && result.Count(Fail) == 0 {
		// For instance a check after all tests that no goroutine is left.
		fmt.Fprintf(progress, "FAIL TestMain (%v)\n", testsErr)
		result.Tests = append(result.Tests, Test{Name: "TestMain", Outcome: Fail})
	}
	return result, nil
}

func (b Binary) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.Path, args...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), b.Env...)
	// Its own group, so that nothing of it is left when it is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// skipped is Skip as of go test -skip.
func (b Binary) skipped() string {
	var patterns []string
	for _, name := range b.Skip {
		patterns = append(patterns, "^"+strings.ReplaceAll(name, "/", "$/^")+"$")
	}
	return strings.Join(patterns, "|")
}

// List returns the names of the tests that Exec runs.
func (b Binary) List(ctx context.Context) ([]string, error) {
	return b.list(ctx, io.Discard)
}

func (b Binary) list(ctx context.Context, log io.Writer) ([]string, error) {
	pattern, _, _ := strings.Cut(b.Run, "/")
	if pattern == "" {
		pattern = "."
	}
	cmd := b.command(ctx, "-test.list="+pattern)
	cmd.Stderr = log
	out, err := cmd.Output()
	var names, skipped []string
	for _, line := range strings.Split(string(out), "\n") {
		name := strings.TrimSpace(line)
		test := strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Example")
		switch {
		case !test:
		case slices.Contains(b.Skip, name):
			skipped = append(skipped, name)
		default:
			names = append(names, name)
		}
	}
	for _, name := range b.Skip {
		if b.Run == "" && !strings.Contains(name, "/") && !slices.Contains(skipped, name) {
			return nil, fmt.Errorf("there is no test %s to skip", name)
		}
	}
	if len(names) > 0 {
		return names, nil // what TestMain says afterwards is about no test
	}
	if err == nil {
		err = fmt.Errorf("%w %q", ErrNoMatch, b.Run)
	}
	return nil, err
}

// read copies the output of the tests to the log and reports each top-level test that has ended.
func (b Binary) read(events io.Reader, log io.Writer, report func(Test)) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if b.Events != nil {
			if _, err := b.Events.Write(line); err != nil {
				return err
			}
		}
		var e struct {
			Action, Test, Output string
			Elapsed              float64
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("not a line of test2json: %q", line)
		}
		if e.Action == "output" {
			io.WriteString(log, e.Output)
		}
		topLevel := e.Test != "" && !strings.Contains(e.Test, "/")
		if topLevel && slices.Contains([]Outcome{Pass, Fail, Skip}, Outcome(e.Action)) {
			report(Test{Name: e.Test, Outcome: Outcome(e.Action), Seconds: e.Elapsed})
		}
	}
}
