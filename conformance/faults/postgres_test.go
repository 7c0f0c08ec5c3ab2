package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"harikube.io/conformance/server"
)

var postgresRows = []row{
	{
		name: "a reader cut at commit", stores: onPostgres, quick: true, lasts: 5 * time.Second,
		setup: (*site).throughProxy, begin: cuts(func(l *link, statement string) bool { return !l.isWriter() && isCommit(statement) }),
	},
	{
		name: "a reader cut anywhere", stores: onPostgres, lasts: 8 * time.Second,
		setup: (*site).throughProxy, begin: cuts(func(l *link, _ string) bool { return !l.isWriter() }),
	},
	{
		name: "the writer cut at commit", stores: onPostgres, quick: true, lasts: 5 * time.Second,
		setup: (*site).throughProxy, begin: cuts(func(l *link, statement string) bool { return l.isWriter() && isCommit(statement) }),
	},
	{
		name: "the writer cut anywhere", stores: onPostgres, lasts: 8 * time.Second,
		setup: (*site).throughProxy, begin: cuts(func(l *link, _ string) bool { return l.isWriter() }),
	},
	{
		name: "all connections cut", stores: onPostgres, lasts: 3 * time.Second, setup: (*site).throughProxy,
		begin: func(s *site) func() {
			s.proxy.lead("")
			return func() { s.proxy.lead(s.cluster.Address()) }
		},
	},
	{
		// Nothing is forwarded any more, nobody is told; new connections work.
		name: "connections frozen", stores: onPostgres, quick: true, lasts: 12 * time.Second, setup: (*site).throughProxy,
		begin: func(s *site) func() {
			s.proxy.freeze()
			return s.proxy.endFrozen
		},
	},
	{
		name: "connections frozen for good", stores: onPostgres, lasts: 62 * time.Second, setup: (*site).throughProxy,
		begin: func(s *site) func() {
			s.proxy.freeze()
			return func() {}
		},
	},
	{name: "a backend killed by one write", stores: onPostgres, quick: true, begin: poison},
	{
		name: "backends ended", stores: onPostgres, lasts: 3 * time.Second,
		begin: func(s *site) func() {
			for range 3 {
				s.cluster.Execute(s.t, endBackends)
				time.Sleep(500 * time.Millisecond)
			}
			return func() {}
		},
	},
	{
		name: "PostgreSQL stopped", stores: onPostgres, quick: true, refusesPuts: true, lasts: 10 * time.Second,
		begin: func(s *site) func() {
			s.cluster.Stop()
			return func() { s.cluster.Start(s.t) }
		},
	},
	{
		name: "PostgreSQL frozen", stores: onPostgres, refusesPuts: true, lasts: 12 * time.Second,
		begin: func(s *site) func() {
			s.cluster.Signal(syscall.SIGSTOP)
			return func() { s.cluster.Signal(syscall.SIGCONT) }
		},
	},
	{
		name: "PostgreSQL killed", stores: onPostgres, lasts: time.Second,
		begin: func(s *site) func() {
			s.cluster.Kill()
			return func() { s.cluster.Start(s.t) }
		},
	},
	{
		name: "PostgreSQL read-only", stores: onPostgres, quick: true, refusesPuts: true, lasts: 8 * time.Second,
		begin: setting("default_transaction_read_only", "on"),
	},
	{
		name: "statements time out", stores: onPostgres, lasts: 5 * time.Second,
		begin: setting("statement_timeout", "'1ms'"),
	},
	{
		name: "out of connections", stores: onPostgres, refusesPuts: true, lasts: 8 * time.Second,
		settings: []string{"max_connections=30", "superuser_reserved_connections=0"},
		begin:    useUp,
	},
	{
		name: "password changed and back", stores: onPostgres, refusesPuts: true, lasts: 8 * time.Second, setup: withPassword,
		begin: func(s *site) func() {
			s.cluster.Execute(s.t, "ALTER ROLE harikube PASSWORD 'second'", endBackends)
			return func() { s.cluster.Execute(s.t, "ALTER ROLE harikube PASSWORD 'first'") }
		},
		check: func(s *site) {
			if !s.logHas("password authentication failed") {
				s.t.Error("the log does not say why PostgreSQL lets nobody in")
			}
		},
	},
	{
		name: "password and its file changed", stores: onPostgres, refusesPuts: true, lasts: 8 * time.Second, setup: withPassword,
		begin: func(s *site) func() {
			s.cluster.Execute(s.t, "ALTER ROLE harikube PASSWORD 'second'", endBackends)
			return func() { must(s, os.WriteFile(passwordFile(s), []byte("second\n"), 0o600)) }
		},
	},
	{
		name: "locked by another program", stores: onPostgres, lasts: 12 * time.Second,
		begin: func(s *site) func() {
			ctx := context.Background()
			holder, err := pgx.Connect(ctx, s.cluster.URL())
			must(s, err)
			_, err = holder.Exec(ctx, "BEGIN; SELECT * FROM meta FOR UPDATE")
			must(s, err)
			return func() { must(s, holder.Close(ctx)) }
		},
	},
}

const endBackends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'test'"

func isCommit(statement string) bool { return strings.HasPrefix(statement, "COMMIT") }

// cuts ends a connection at a statement of a kind, before or after PostgreSQL has it, over and over.
func cuts(which func(*link, string) bool) func(*site) func() {
	return func(s *site) func() {
		var count atomic.Int64
		var next atomic.Int64 // when, in nanoseconds
		began := time.Now()
		s.proxy.judgeBy(func(l *link, statement string) verdict {
			if !which(l, statement) {
				return pass
			}
			at := next.Load()
			now := int64(time.Since(began))
			if now < at || !next.CompareAndSwap(at, now+int64(100*time.Millisecond)+rand.Int64N(int64(300*time.Millisecond))) {
				return pass
			}
			if count.Add(1)%2 == 0 {
				return cutAfter
			}
			return cutBefore
		})
		return func() {
			s.proxy.judgeBy(nil)
			if n := count.Load(); n < 4 {
				s.t.Errorf("only %d connections were cut", n)
			}
		}
	}
}

// setting changes what holds for all sessions, and has it as it was in the end.
func setting(name, value string) func(*site) func() {
	return func(s *site) func() {
		s.cluster.Execute(s.t, "ALTER SYSTEM SET "+name+" = "+value, "SELECT pg_reload_conf()")
		return func() { s.cluster.Execute(s.t, "ALTER SYSTEM RESET "+name, "SELECT pg_reload_conf()") }
	}
}

// poison has the backend end that inserts a certain key, as a crash would end it. Whoever asks for that has
// to be refused in the end, and nobody else.
func poison(s *site) func() {
	key := "/poison/key"
	s.cluster.Execute(s.t,
		`CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid(), 10000); RETURN NEW; END $$`,
		fmt.Sprintf(`CREATE TRIGGER die BEFORE INSERT ON log FOR EACH ROW WHEN (NEW.key = '%s'::bytea) EXECUTE FUNCTION die()`, key))
	client := server.Client(s.t, s.server.Address)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	asked := time.Now()
	_, err := client.Put(ctx, key, "never")
	switch code := status.Code(err); {
	case err == nil:
		s.t.Error("the write that ends its backend was acknowledged")
	case ctx.Err() != nil || code == codes.DeadlineExceeded:
		s.t.Errorf("the write that ends its backend had no answer in %.0f s", time.Since(asked).Seconds())
	default:
		s.t.Logf("the write that ends its backend was refused after %.1f s: %v", time.Since(asked).Seconds(), err)
	}
	return func() {}
}

// useUp takes all connections, also those that the server has.
func useUp(s *site) func() {
	ctx := context.Background()
	var taken []*pgx.Conn
	for {
		connection, err := pgx.Connect(ctx, s.cluster.URL()+"?application_name=test")
		if err == nil {
			taken = append(taken, connection)
			continue
		}
		if len(taken) >= 30 {
			break
		}
		if len(taken) == 0 {
			s.t.Fatal(err)
		}
		// Those of the server: whoever asks first has what becomes free.
		_, _ = taken[0].Exec(ctx, endBackends)
	}
	return func() {
		for _, connection := range taken {
			_ = connection.Close(ctx)
		}
	}
}

func passwordFile(s *site) string { return filepath.Join(s.folder, "password") }

// withPassword has the server be an ordinary user with a password in a file.
func withPassword(s *site) {
	s.cluster.Execute(s.t, "CREATE ROLE harikube LOGIN PASSWORD 'first'", "CREATE DATABASE kubernetes OWNER harikube")
	hba := "host all postgres 127.0.0.1/32 trust\nhost all harikube 127.0.0.1/32 scram-sha-256\n"
	s.cluster.Write(s.t, "pg_hba.conf", hba)
	s.cluster.Execute(s.t, "SELECT pg_reload_conf()")
	must(s, os.WriteFile(passwordFile(s), []byte("first\n"), 0o600))
	s.endpoint = "postgres://harikube@" + s.cluster.Address() + "/kubernetes"
	s.options.Args = append(s.options.Args, "--datastore-password-file="+passwordFile(s))
}
