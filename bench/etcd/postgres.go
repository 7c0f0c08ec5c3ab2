package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresWithin is enough for test-postgres to unpack a server and initialize its data.
const postgresWithin = 2 * time.Minute

// postgres is a server in which each start of a peer gets a database of its own.
type postgres struct {
	server  string // URL
	version string
	notes   []string // what a reader of the results has to know
	stdin   io.Closer
	cmd     *exec.Cmd
}

// openPostgres returns nil without an error if there is no PostgreSQL to be had.
func openPostgres(ctx context.Context, o *options) (*postgres, error) {
	p := &postgres{server: o.postgres}
	if p.server == "" {
		program := filepath.Join(o.bin, "test-postgres")
		if _, err := os.Stat(program); os.IsNotExist(err) {
			return nil, nil
		}
		if err := p.launch(program); err != nil {
			return nil, err
		}
	}
	if err := p.examine(ctx, o.out); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// launch runs the program until close: it stops when its stdin ends.
func (p *postgres) launch(program string) (err error) {
	p.cmd = exec.Command(program)
	p.cmd.Stderr = os.Stderr
	// A group of its own: Ctrl-C must not take the database from under the peers.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(stdout).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case p.server = <-line:
	case <-time.After(postgresWithin):
	}
	if p.server == "" {
		p.close()
		return fmt.Errorf("%s printed no URL", program)
	}
	return nil
}

// examine refuses a server that does not write to disk what it acknowledges, and notes what else
// could make the comparison unfair.
func (p *postgres) examine(ctx context.Context, out string) error {
	connection, err := pgx.Connect(ctx, p.server)
	if err != nil {
		return fmt.Errorf("PostgreSQL is not reachable: %w", err)
	}
	defer connection.Close(ctx)
	show := func(setting string) (value string) {
		if err == nil {
			err = connection.QueryRow(ctx, "SELECT current_setting($1)", setting).Scan(&value)
		}
		return value
	}
	p.version = show("server_version")
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		if value := show(setting); err == nil && value != "on" {
			return fmt.Errorf("PostgreSQL runs with %s=%s; only what is durable is compared", setting, value)
		}
	}
	p.notes = append(p.notes, fmt.Sprintf("PostgreSQL: fsync=on, shared_buffers=%s, max_connections=%s.",
		show("shared_buffers"), show("max_connections")))
	data := show("data_directory")
	if err != nil {
		return err
	}
	if same, known := sameDisk(data, out); !known {
		p.notes = append(p.notes, "PostgreSQL's data is not on this machine, or hidden: perhaps on another disk than the other peers'.")
	} else if !same {
		p.notes = append(p.notes, "PostgreSQL's data is ON ANOTHER DISK than the other peers'.")
	}
	return nil
}

func sameDisk(a, b string) (same, known bool) {
	var first, second syscall.Stat_t
	if syscall.Stat(a, &first) != nil || syscall.Stat(b, &second) != nil {
		return false, false
	}
	return first.Dev == second.Dev, true
}

// create returns the URL of an empty database and what drops it.
func (p *postgres) create(ctx context.Context) (database string, drop func(), err error) {
	at, err := url.Parse(p.server)
	if err != nil {
		return "", nil, fmt.Errorf("the address of PostgreSQL is not a URL: %w", err)
	}
	name := "bench_" + strings.ToLower(rand.Text()[:10])
	if err := p.execute(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	at.Path = "/" + name
	drop = func() {
		// Not the caller's context, which may have ended. The checkpoint is not left to the next peer.
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, statement := range []string{"DROP DATABASE " + name + " WITH (FORCE)", "CHECKPOINT"} {
			if err := p.execute(ctx, statement); err != nil {
				fmt.Fprintln(os.Stderr, "PostgreSQL:", err)
			}
		}
	}
	return at.String(), drop, nil
}

func (p *postgres) execute(ctx context.Context, statement string) error {
	connection, err := pgx.Connect(ctx, p.server)
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	if _, err := connection.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func (p *postgres) close() {
	if p != nil && p.cmd != nil {
		_ = p.stdin.Close()
		_ = p.cmd.Wait()
	}
}
