package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// stopWithin is more than a server takes for requests in flight and a checkpoint.
	stopWithin = 20 * time.Second
	tailLines  = 15
	panicLines = 7
	maxLine    = 300
)

// process is a server that runs in the background with its output in a log file.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited
	err  error         // how it exited; to read after done
}

func startProcess(program, folder, log string, args ...string) (*process, error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	p := &process{
		name: filepath.Base(program),
		log:  log,
		cmd:  exec.Command(program, args...),
		done: make(chan struct{}),
	}
	p.cmd.Dir = folder
	p.cmd.Stdout = output
	p.cmd.Stderr = output
	// A group of its own: the terminal's Ctrl-C is for us, who stop the server in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(p.cmd.SysProcAttr)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// whileItRuns returns a context that ends with the process.
func (p *process) whileItRuns(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-p.done:
			cancel(errors.New("the peer stopped"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// exitError describes the exit of a process that was not asked to.
func (p *process) exitError() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s stopped on its own (%s); the end of its log:\n%s", p.name, how, p.tail())
}

// tail returns the last lines of the log. Of a Go program that panicked it is those from the panic on,
// which the stacks of other goroutines would push out of sight.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return "    " + err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	start, end := max(0, len(lines)-tailLines), len(lines)
	for i, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			start, end = i, min(len(lines), i+panicLines)
			break
		}
	}
	lines = lines[start:end]
	for i, line := range lines {
		lines[i] = "    " + line[:min(len(line), maxLine)]
	}
	return strings.Join(lines, "\n")
}

// stop returns when the process has exited: asked to, or killed if it takes too long.
func (p *process) stop() {
	if p.exited() {
		return // and its number may be another's by now
	}
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-p.done
	}
}
