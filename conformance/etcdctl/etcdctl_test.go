// Package etcdctl compares HariKube with etcd as etcdctl shows them: the same commands in the same
// order on both, and what they print to stdout and stderr and how they exit has to be the same.
package etcdctl

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
)

var (
	build = filepath.Join("..", "..", "build")
	bin   = filepath.Join(build, "bin")
)

const (
	stepWithin  = 30 * time.Second
	readsAtOnce = 4
)

func TestEtcdctl(t *testing.T) {
	etcd := &subject{folder: folder(t, "etcd")}
	etcd.server = server.Etcd(t, bin, etcd.folder)
	var want []result
	done := make(chan struct{})
	go func() {
		defer close(done)
		want = etcd.run(t, script)
	}()
	for name, endpoint := range map[string]func(t *testing.T, folder string) string{
		"sqlite":   func(_ *testing.T, folder string) string { return sqlite(folder, "harikube.db") },
		"postgres": func(t *testing.T, _ string) string { return postgres.Database(t, bin) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours := &subject{folder: folder(t, name)}
			ours.server = server.HariKube(t, bin, ours.folder, endpoint(t, ours.folder))
			got := ours.run(t, script)
			<-done
			compare(t, differences, want, got)
			t.Run("restore", ours.restore)
		})
	}
}

// compare reports each step whose results differ, and each known difference that is gone.
func compare(t *testing.T, known map[string]string, want, got []result) {
	names := map[string]bool{}
	for i, w := range want {
		names[w.name] = true
		t.Run(w.name, func(t *testing.T) {
			reason := known[w.name]
			same := w.text == got[i].text
			switch {
			case same && reason != "":
				t.Errorf("no longer different: take it out of the known differences (%s)", reason)
			case !same && reason != "":
				t.Logf("known difference: %s\n--- etcd\n%s\n--- ours\n%s", reason, w.text, got[i].text)
			case !same:
				t.Errorf("etcdctl %s\n--- etcd\n%s\n--- ours\n%s", strings.Join(got[i].args, " "), w.text, got[i].text)
			}
		})
	}
	for name := range known {
		if !names[name] {
			t.Errorf("the known difference %q is no step", name)
		}
	}
}

// restore compares the store that a snapshot gives with the one it was taken of.
func (s *subject) restore(t *testing.T) {
	restored := &subject{folder: folder(t, filepath.Base(s.folder)+"-restored"), values: s.values}
	endpoint := sqlite(restored.folder, "restored.db")
	restore := exec.Command(filepath.Join(bin, "harikube"), "restore", s.snapshot(), "--exact", "--endpoint", endpoint)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("restore: %v\n%s", err, out)
	}
	restored.server = server.HariKube(t, bin, restored.folder, endpoint)
	compare(t, nil, s.run(t, readsOfRestored), restored.run(t, readsOfRestored))
}

// subject is a server that the script runs against.
type subject struct {
	folder string
	server *server.Server
	values map[string]string // what steps have saved
}

// result is what a step printed, made comparable.
type result struct {
	name, text string
	args       []string
}

func (s *subject) run(t *testing.T, steps []step) []result {
	t.Helper()
	if s.values == nil {
		s.values = map[string]string{}
	}
	results := make([]result, len(steps))
	var reads sync.WaitGroup
	places := make(chan struct{}, readsAtOnce)
	for i, step := range steps {
		if step.args[0] == "get" { // its order among others that only read does not matter
			places <- struct{}{}
			reads.Go(func() {
				results[i] = s.step(t, step)
				<-places
			})
			continue
		}
		reads.Wait()
		results[i] = s.step(t, step)
	}
	reads.Wait()
	return results
}

func (s *subject) step(t *testing.T, step step) result {
	t.Helper()
	args := s.expand(step.args)
	ctx, cancel := context.WithTimeout(t.Context(), stepWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "etcdctl"), append([]string{"--endpoints=" + s.server.Address}, args...)...)
	cmd.Stdin = strings.NewReader(step.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stderr = &stderr
	end := ""
	if step.until == "" {
		cmd.Stdout = &stdout
		end = exit(cmd.Run())
	} else {
		end = s.watch(t, cmd, &stdout, step)
	}
	if ctx.Err() != nil {
		end += " (killed after " + stepWithin.String() + ")"
	}
	if step.save != "" {
		if found := regexp.MustCompile(step.capture).FindStringSubmatch(stdout.String()); found != nil {
			s.values[step.save] = found[1]
		} else {
			t.Errorf("%s: nothing to save in %q", step.name(), stdout.String())
		}
	}
	text := end + "\nstdout:\n" + stdout.String() + "\nstderr:\n" + stderr.String()
	return result{name: step.name(), text: s.normal(text), args: args}
}

// watch lets the command run until it has printed a line, and its input stay open until then.
func (s *subject) watch(t *testing.T, cmd *exec.Cmd, stdout *bytes.Buffer, step step) string {
	t.Helper()
	cmd.Stdin = nil
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, step.stdin); err != nil {
		t.Fatal(err)
	}
	for _, meanwhile := range step.meanwhile {
		if r := s.step(t, meanwhile); !strings.HasPrefix(r.text, "exit 0") {
			t.Errorf("during %s: %v: %s", step.name(), r.args, r.text)
		}
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		stdout.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), step.until) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return "until " + step.until
		}
	}
	return exit(cmd.Wait())
}

func exit(err error) string {
	var failed *exec.ExitError
	switch {
	case err == nil:
		return "exit 0"
	case errors.As(err, &failed):
		return "exit " + strconv.Itoa(failed.ExitCode())
	default:
		return err.Error()
	}
}

func (s *subject) snapshot() string { return filepath.Join(s.folder, "snapshot.db") }

func (s *subject) expand(args []string) []string {
	replace := []string{"${folder}", s.folder}
	for name, value := range s.values {
		replace = append(replace, "${"+name+"}", value)
	}
	expanded := make([]string, len(args))
	for i, arg := range args {
		expanded[i] = strings.NewReplacer(replace...).Replace(arg)
	}
	return expanded
}

// folder is kept after the test, logs and all; the next one starts anew.
func folder(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(build, "test-data", "etcdctl", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func sqlite(folder, file string) string {
	endpoint := url.URL{Scheme: "sqlite", Path: filepath.Join(folder, file)}
	return endpoint.String()
}
