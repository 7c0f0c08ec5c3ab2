// Package kubectl lets tests drive a cluster as a user does: with kubectl, with deadlines, and waiting
// for conditions rather than for time to pass.
package kubectl

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// within bounds one command, and one wait for a condition.
	within = time.Minute
	// pollEvery is about as long as kubectl itself takes.
	pollEvery = 100 * time.Millisecond
)

// Kubectl runs kubectl against one cluster. A step that fails ends the test that it was given.
type Kubectl struct {
	program string
	env     []string
}

// New takes kubectl from the folder of programs. cache is a folder for its discovery cache, so that
// the tests leave the home folder alone.
func New(bin, kubeconfig, cache string) Kubectl {
	return Kubectl{
		program: filepath.Join(bin, "kubectl"),
		env:     append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+cache, "KUBERC=off"),
	}
}

// With is the same with more in its environment, as NAME=value.
func (k Kubectl) With(variables ...string) Kubectl {
	k.env = slices.Concat(k.env, variables)
	return k
}

// Do returns what a command that must succeed writes to stdout, without the white space around it.
func (k Kubectl) Do(t testing.TB, args ...string) string {
	t.Helper()
	return k.withInput(t, "", args...)
}

// Apply applies a manifest and returns what kubectl says of it.
func (k Kubectl) Apply(t testing.TB, manifest string) string {
	t.Helper()
	return k.withInput(t, manifest, "apply", "-f", "-")
}

func (k Kubectl) withInput(t testing.TB, input string, args ...string) string {
	t.Helper()
	out, err := k.try(t.Context(), input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Fails returns the message of a command that must fail.
func (k Kubectl) Fails(t testing.TB, args ...string) string {
	t.Helper()
	out, err := k.try(t.Context(), "", args...)
	if err == nil {
		t.Fatalf("kubectl %s should fail, but says: %s", strings.Join(args, " "), out)
	}
	return err.Error()
}

// Until repeats a command until it succeeds with an output that meets the condition, and returns that.
func (k Kubectl) Until(t testing.TB, condition func(out string) bool, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		out, err := k.try(ctx, "", args...)
		if err == nil && condition(out) {
			return out
		}
		select {
		case <-ctx.Done():
			t.Fatalf("kubectl %s: not within %s; the last answer: %s %v", strings.Join(args, " "), within, out, err)
		case <-ticker.C:
		}
	}
}

// Established waits for definitions of custom resources. `kubectl wait` cannot: a definition is created
// with conditions of null, and whoever sees that gets an error at once.
func (k Kubectl) Established(t testing.TB, definitions ...string) {
	t.Helper()
	for _, name := range definitions {
		k.Until(t, Is("True"), "get", "crd", name, "-o", `jsonpath={.status.conditions[?(@.type=="Established")].status}`)
	}
}

// Lines is a condition for Until: that many lines that are not empty.
func Lines(count int) func(string) bool {
	return func(out string) bool {
		return len(strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })) == count
	}
}

// Is is a condition for Until: this output.
func Is(want string) func(string) bool {
	return func(out string) bool { return out == want }
}

func (k Kubectl) try(ctx context.Context, input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := exec.CommandContext(ctx, k.program, args...)
	cmd.Env = k.env
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// Watch is a kubectl that goes on writing lines.
type Watch struct {
	lines   <-chan string
	command string
}

// Watch starts a command such as `get -w`; it ends with the test.
func (k Kubectl) Watch(t testing.TB, args ...string) Watch {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), k.program, args...)
	cmd.Env = k.env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			select {
			case lines <- scanner.Text():
			case <-t.Context().Done():
			}
		}
	}()
	t.Cleanup(func() { // after the test's context has ended, which kills the command
		<-ended
		_ = cmd.Wait()
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("kubectl %s: %s", strings.Join(args, " "), &stderr)
		}
	})
	return Watch{lines, strings.Join(args, " ")}
}

// Next returns the next line.
func (w Watch) Next(t testing.TB) string {
	t.Helper()
	select {
	case line, ok := <-w.lines:
		if !ok {
			t.Fatalf("kubectl %s ended", w.command)
		}
		return line
	case <-time.After(within):
		t.Fatalf("kubectl %s shows nothing new within %s", w.command, within)
	}
	return ""
}
