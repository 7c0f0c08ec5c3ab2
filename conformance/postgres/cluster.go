package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"harikube.io/controlplane"
)

const (
	upWithin = time.Minute
	logBytes = 1 << 20
)

// Cluster is a PostgreSQL server of the test's own with its data, to which everything can be done. Not safe for use by several goroutines.
type Cluster struct {
	Port int
	Data string

	programs string
	folder   string
	log      string
	settings []string
	cmd      *exec.Cmd
	done     chan struct{}
}

// NewCluster makes an empty server, with settings as in postgresql.conf, and starts it. Its log is a file in
// the folder.
func NewCluster(t testing.TB, bin, folder string, settings ...string) *Cluster {
	t.Helper()
	c := newCluster(t, bin, folder, settings)
	initdb := c.command("initdb", "--pgdata="+c.Data, "--username=postgres", "--auth=trust", "--encoding=UTF8",
		"--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US", "--no-sync", "--no-instructions")
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	c.Start(t)
	return c
}

func newCluster(t testing.TB, bin, folder string, settings []string) *Cluster {
	t.Helper()
	port, err := controlplane.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.MkdirTemp("", "harikube-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(folder, fmt.Sprintf("postgres-%d.log", port))
	c := &Cluster{Port: port, Data: data, log: log, folder: folder, programs: programs(t, bin), settings: settings}
	if credential := unprivileged(t); credential != nil {
		if err := os.Chown(data, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		c.Kill()
		_ = os.RemoveAll(data)
	})
	return c
}

// Standby makes a server that follows another one, as of now; the other is reached at an address. It is
// not started yet.
func (c *Cluster) Standby(t testing.TB, bin, address string, settings ...string) *Cluster {
	t.Helper()
	s := newCluster(t, bin, c.folder, settings)
	ctx, cancel := context.WithTimeout(context.Background(), upWithin)
	defer cancel()
	connection := c.connect(ctx, t)
	defer connection.Close(ctx)
	if _, err := connection.Exec(ctx, "SELECT pg_backup_start('standby', true)"); err != nil {
		t.Fatal(err)
	}
	// As the user that the data belongs to. postmaster.pid is the one file that must not be there.
	if output, err := s.own(exec.Command("cp", "-r", c.Data+"/.", s.Data)).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, output)
	}
	_ = os.Remove(filepath.Join(s.Data, "postmaster.pid"))
	var label string
	if err := connection.QueryRow(ctx, "SELECT labelfile FROM pg_backup_stop(false)").Scan(&label); err != nil {
		t.Fatal(err)
	}
	s.Write(t, "backup_label", label)
	s.Follow(t, address)
	return s
}

// Follow has a server that is not running be the standby of the one at an address.
func (c *Cluster) Follow(t testing.TB, address string) {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	c.Write(t, "standby.signal", "")
	c.Write(t, "postgresql.auto.conf", fmt.Sprintf("primary_conninfo = 'host=%s port=%s user=postgres application_name=standby'\n", host, port))
}

// Write writes a file of the data.
func (c *Cluster) Write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(c.Data, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if credential := unprivileged(t); credential != nil {
		if err := os.Chown(path, int(credential.Uid), int(credential.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// Start starts the server, again if it has ended, and returns when it answers.
func (c *Cluster) Start(t testing.TB) {
	t.Helper()
	c.Launch(t)
	deadline := time.Now().Add(upWithin)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		connection, err := pgx.Connect(ctx, c.admin())
		if err == nil {
			_ = connection.Close(ctx)
		}
		cancel()
		if err == nil {
			return
		}
		select {
		case <-c.done:
			t.Fatalf("PostgreSQL has ended: %v\n%s", err, c.Log())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("PostgreSQL does not answer: %v", err)
		}
	}
}

// Launch starts the server and does not wait for it.
func (c *Cluster) Launch(t testing.TB) {
	t.Helper()
	arguments := []string{
		"-D", c.Data, "-p", strconv.Itoa(c.Port), "-h", "127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "dynamic_shared_memory_type=mmap", "-c", "wal_keep_size=1GB",
	}
	for _, setting := range c.settings {
		arguments = append(arguments, "-c", setting)
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c.cmd = c.command("postgres", arguments...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	controlplane.DieWithParent(c.cmd.SysProcAttr)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd, done := c.cmd, make(chan struct{})
	c.done = done
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
}

// Log is what the server has said last.
func (c *Cluster) Log() string {
	text, _ := os.ReadFile(c.log)
	return string(text[max(0, len(text)-logBytes):])
}

// URL is that of the database postgres for its superuser.
func (c *Cluster) URL() string { return c.At(c.Address()) }

// At is the URL by way of another address.
func (c *Cluster) At(address string) string { return "postgres://postgres@" + address + "/postgres" }

func (c *Cluster) Address() string { return "127.0.0.1:" + strconv.Itoa(c.Port) }

// admin is the URL for what has to work whatever has been set.
func (c *Cluster) admin() string {
	return c.URL() + "?connect_timeout=5&application_name=test&default_transaction_read_only=off&statement_timeout=0"
}

// Execute runs statements, each in a transaction of its own.
func (c *Cluster) Execute(t testing.TB, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), upWithin)
	defer cancel()
	connection := c.connect(ctx, t)
	defer connection.Close(ctx)
	for _, statement := range statements {
		if _, err := connection.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (c *Cluster) connect(ctx context.Context, t testing.TB) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(ctx, c.admin())
	if err != nil {
		t.Fatal(err)
	}
	return connection
}

// Stop shuts the server down in order, without waiting for its clients.
func (c *Cluster) Stop() {
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	<-c.done
}

// Kill is a crash of all its processes; it returns when none is left. The first goes first: it would see
// to the death of the others.
func (c *Cluster) Kill() {
	if c.cmd == nil || c.cmd.Process == nil {
		return
	}
	processes := c.processes()
	for _, pid := range processes {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-c.done
	for _, pid := range processes {
		for syscall.Kill(pid, 0) == nil && !isZombie(pid) {
			time.Sleep(time.Millisecond)
		}
	}
}

// Signal sends a signal to all processes.
func (c *Cluster) Signal(signal syscall.Signal) {
	for _, pid := range c.processes() {
		_ = syscall.Kill(pid, signal)
	}
}

func (c *Cluster) processes() []int {
	first := c.cmd.Process.Pid
	select {
	case <-c.done:
		return nil
	default:
	}
	found := []int{first}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", first, first))
	for _, field := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(field); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func (c *Cluster) command(program string, arguments ...string) *exec.Cmd {
	return c.own(exec.Command(filepath.Join(c.programs, program), arguments...))
}

// own has a command run as the user that the data belongs to.
func (c *Cluster) own(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = c.Data
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 {
		info, err := os.Stat(c.Data)
		if err == nil {
			owner := info.Sys().(*syscall.Stat_t)
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
		}
	}
	return cmd
}

// unprivileged is the user that PostgreSQL runs as: the one of the tests, unless that is root, which it
// refuses.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if found, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(found.Uid, 10, 32)
			gid, _ := strconv.ParseUint(found.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Fatal("PostgreSQL refuses root, and there is no user postgres or nobody")
	return nil
}

var found struct {
	sync.Mutex
	programs string
}

// programs is the folder of initdb and postgres: the one that HARIKUBE_POSTGRES_PROGRAMS names, such as
// /usr/lib/postgresql/17/bin, or that of what build/bin/test-postgres runs.
func programs(t testing.TB, bin string) string {
	t.Helper()
	found.Lock()
	defer found.Unlock()
	if found.programs == "" {
		found.programs = os.Getenv("HARIKUBE_POSTGRES_PROGRAMS")
	}
	if found.programs == "" {
		s := Start(t, bin)
		defer s.Stop()
		ctx, cancel := context.WithTimeout(context.Background(), upWithin)
		defer cancel()
		connection, err := pgx.Connect(ctx, s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close(ctx)
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", connection.PgConn().PID()))
		if err != nil {
			t.Fatal(err)
		}
		found.programs = filepath.Dir(program)
	}
	return found.programs
}
