package controlplane

import (
	"bytes"
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
	// readyWithin is generous: a loaded machine of two cores starts an API server in 10 seconds.
	readyWithin = 2 * time.Minute
	probeEvery  = 50 * time.Millisecond
	// stopWithin is more than the API server takes for requests in flight and the store for a checkpoint.
	stopWithin = 20 * time.Second
	tailLines  = 15
)

// process is a program that runs in the background with its output in a log file.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has exited
	err  error         // how it exited; to read after done
}

// startProcess starts a program of a folder; its exit is sent to exits.
func startProcess(folder string, command command, log string, exits chan<- *process) (*process, error) {
	output, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	p := &process{
		name: filepath.Base(command.program),
		log:  log,
		cmd:  exec.Command(filepath.Join(folder, command.program), command.args...),
		done: make(chan struct{}),
	}
	p.cmd.Env = append(os.Environ(), command.env...)
	p.cmd.Stdout = output
	p.cmd.Stderr = output
	// A group of its own: the terminal's Ctrl-C is for us, who stop the components in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	DieWithParent(p.cmd.SysProcAttr)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
		exits <- p
	}()
	return p, nil
}

// await returns nil once probe succeeds, and an error when the process exits or is not ready in time.
func (p *process) await(ctx context.Context, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.exitError()
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("%s is not ready after %s: %w\n%s", p.name, readyWithin, err, p.tail())
		case <-ticker.C:
		}
	}
}

// exitError describes the exit of a process that was not asked to.
func (p *process) exitError() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s stopped on its own (%s). The end of %s:\n%s", p.name, how, p.log, p.tail())
}

// tail returns the last lines of the log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return "    " + strings.Join(lines, "\n    ")
}

// stop returns when the process has exited: asked to, or killed if it takes too long or ctx ends.
func (p *process) stop(ctx context.Context) {
	select {
	case <-p.done:
		return // and its number may be another's by now
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	group := -p.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-p.done
	}
}

// kill returns when the process has exited, without having been asked to.
func (p *process) kill() {
	select {
	case <-p.done:
		return // and its number may be another's by now
	default:
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// runProgram runs a program to its end; the error holds what it wrote to stderr.
func runProgram(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}
