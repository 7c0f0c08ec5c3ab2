package faults

import (
	"context"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"harikube.io/conformance/server"
)

var failoverRows = []row{
	{
		name: "failover to a synchronous standby", stores: onPostgres,
		setup: func(s *site) {
			s.throughProxy()
			s.follow(s.cluster.Address())
			s.cluster.Execute(s.t, "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")
			s.awaitStandby("sync_state = 'sync'")
		},
		begin: func(s *site) func() {
			s.cluster.Kill()
			return s.promote
		},
		lasts: time.Second,
	},
	{
		// Commits were acknowledged that the standby never had.
		name: "failover to an asynchronous standby", stores: onPostgres, quick: true, losesWrites: true,
		setup: func(s *site) {
			s.throughProxy()
			replication := newProxy(s.t, s.cluster.Address())
			s.follow(replication.address)
			s.replication = replication
			s.awaitStandby("true")
		},
		begin: func(s *site) func() {
			s.replication.lead("")
			time.Sleep(2 * time.Second)
			s.cluster.Signal(syscall.SIGSTOP) // so that nothing is acknowledged between this
			time.Sleep(200 * time.Millisecond)
			s.acknowledged = s.load.Acked()
			s.cluster.Kill()
			return s.promote
		},
		lasts: time.Second,
		check: func(s *site) {
			if !s.logHas("ERROR") {
				s.t.Error("there is no ERROR in the log, though acknowledged commits are lost")
			}
		},
	},
	{
		// The endpoint names both; the primary and the standby change places, and the standby falls behind.
		name: "switchover between two hosts", stores: onPostgres, quick: true,
		setup: func(s *site) {
			s.follow(s.cluster.Address())
			s.awaitStandby("true")
			s.endpoint = "postgres://postgres@" + s.cluster.Address() + "," + s.standby.Address() + "/postgres"
		},
		begin: func(s *site) func() {
			first, second := s.cluster, s.standby
			first.Stop() // in order: the standby has all of it
			second.Execute(s.t, "SELECT pg_promote()")
			first.Follow(s.t, second.Address())
			first.Start(s.t)
			s.cluster, s.standby = second, first
			s.awaitStandby("true")
			first.Execute(s.t, "SELECT pg_wal_replay_pause()")
			time.Sleep(500 * time.Millisecond)
			// All connect again, and find the one first that is behind.
			second.Execute(s.t, endBackends)
			return func() {}
		},
		lasts: 2 * time.Second,
	},
	{
		name: "readers end on a standby", stores: onPostgres,
		setup: func(s *site) {
			s.throughProxy()
			s.follow(s.cluster.Address())
			s.awaitStandby("true")
		},
		// A balancer that sends new connections to the standby, which is behind, and then notices.
		begin: func(s *site) func() {
			s.standby.Execute(s.t, "SELECT pg_wal_replay_pause()")
			time.Sleep(500 * time.Millisecond)
			s.proxy.lead(s.standby.Address())
			return func() { s.proxy.lead(s.cluster.Address()) }
		},
		lasts: 4 * time.Second,
	},
	{
		// A rolling update that went wrong: the new server took the database, and is gone again.
		name: "a second server takes the database and dies", stores: onPostgres, quick: true, stopsServer: true, restarts: true,
		begin: func(s *site) func() {
			second := server.HariKubeWith(s.t, bin, s.folder, s.endpoint, server.Options{})
			second.Start(s.t)
			time.Sleep(time.Second)
			second.Kill()
			return func() {}
		},
		check: func(s *site) {
			if len(s.exits) == 0 {
				s.t.Log("the first server did not end")
			} else if s.exits[0] == 0 || s.exits[0] == 1 {
				s.t.Errorf("the first server has ended with %d, which says nothing", s.exits[0])
			}
		},
	},
}

// follow makes a standby, which reaches its primary at an address.
func (s *site) follow(address string) {
	s.t.Helper()
	s.standby = s.cluster.Standby(s.t, bin, address)
	s.standby.Start(s.t)
}

// awaitStandby waits until the standby is connected to the primary and a condition holds.
func (s *site) awaitStandby(condition string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	connection, err := pgx.Connect(ctx, s.cluster.URL())
	must(s, err)
	defer connection.Close(ctx)
	for {
		var there bool
		err := connection.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND "+condition+")").Scan(&there)
		must(s, err)
		if there {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// promote has the standby be the primary, and leads everybody there.
func (s *site) promote() {
	s.t.Helper()
	// The new primary has nobody to wait for.
	s.standby.Execute(s.t, "SELECT pg_promote()", "ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
	s.proxy.lead(s.standby.Address())
}
